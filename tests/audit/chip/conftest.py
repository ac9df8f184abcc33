"""Planted chips: one whose registers can be driven to overflow, and one whose work is known."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from spikeproof.attacks.lattice import ThreatModel
from spikeproof.audit.chip.asked import Asked
from spikeproof.audit.samples import Samples
from spikeproof.sim.classifier import TwinClassifier
from spikeproof.sim.interface import Encoding, Readout
from spikeproof.sim.program import Population, Program, Source, Synapse

GREY = 100
STEPS = 3


def planted(*, weight: int, signs: tuple[int, ...] = (1, 1, 1, 1), vth: int = 131071) -> Program:
    """Four pixels into one neuron, u = 64·weight·Σ signs·pixels; two logits from its spikes."""
    weights = weight * np.array(signs, np.int32).reshape(1, 1, 2, 2)
    return Program(
        sources=(Source(name="image", shape=(1, 2, 2), low=0, high=255, message_bits=9),),
        populations=(
            Population(name="a", shape=(1, 1, 1), vth=vth),
            Population(name="out", shape=(2,), vth=131071, phase=1),
        ),
        synapses=(
            Synapse(source="image", target="a", weight=weights),
            Synapse(source="a", target="out", weight=np.array([[-1], [1]], np.int32)),
        ),
        outputs=("out",),
        encoding=Encoding(offset=(0,), steps=STEPS),
        readout=Readout(population="out", kind="membrane", scale=1.0),
    )


def grey(count: int = 3) -> Samples:
    images = np.full((count, 1, 2, 2), GREY, np.uint8)
    labels = np.zeros(count, np.int64)
    return Samples(images=images, labels=labels, keys=np.arange(count, dtype=np.int64))


@pytest.fixture
def ask() -> Callable[..., Asked]:
    def of(program: Program, *, levels: int = 20, samples: Samples | None = None) -> Asked:
        return Asked(
            chip=TwinClassifier(program),
            samples=grey() if samples is None else samples,
            threat=ThreatModel(epsilon=levels / 255),
            estimator="triangle",
            batch_size=4,
            seed=0,
            device=torch.device("cpu"),
        )

    return of
