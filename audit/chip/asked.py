"""A chip and the images that it is asked about: what all chip-only questions share."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...attacks.apgd import APGD
from ...attacks.lattice import ThreatModel
from ...attacks.objective import LOSS, Objective, objective_target
from ...sim.classifier import TwinClassifier
from ..samples import Batch, Samples

CLIMB = APGD(name="apgd20-objective", steps=20, loss=LOSS)
"""Drives every objective up: it needs no step size that fits."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """A chip, images, and the ball around them.

    Args:
        chip: The deployed network.
        samples: What it is shown.
        threat: Which images are lawful.
        estimator: How its spikes are differentiated.
        batch_size: Of the padded batches.
        seed: Of all random draws.
        device: Where the chip runs.
    """

    chip: TwinClassifier
    samples: Samples
    threat: ThreatModel
    estimator: str
    batch_size: int
    seed: int
    device: torch.device

    @property
    def steps(self) -> int:
        """T."""
        return self.chip.encoding.steps

    def batches(self) -> Iterator[Batch]:
        """All samples, in padded batches."""
        return self.samples.batches(self.batch_size, device=self.device)

    def climb(self, objective: Objective, batch: Batch, *, name: str) -> Tensor:
        """The highest point of an objective that the attack visits, for each image of a batch."""
        driven = replace(batch, labels=torch.zeros_like(batch.labels))
        target = objective_target(objective, name=name)
        return driven.under(CLIMB, target, threat=self.threat, seed=self.seed).images
