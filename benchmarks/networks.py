"""Networks that benchmarks share: Programs with weights of random sign that keep layers firing."""

import math
from typing import Any

import numpy as np

from spikeproof.sim.interface import Encoding, Readout
from spikeproof.sim.program import Population, Program, Source, Synapse

Conv = tuple[int, int, int, int]
"""Channels, kernel, stride and padding."""

SOURCE = Source(name="image", shape=(3, 32, 32), low=-128, high=127, message_bits=9)
VGG11 = (
    *((64, 3, 1, 1), (128, 6, 2, 2), (256, 6, 2, 2), (256, 3, 1, 1)),
    *((512, 6, 2, 2), (512, 3, 1, 1), (512, 6, 2, 2), (512, 3, 1, 1)),
)
"""VGG-11 with its pools merged: a pool before a 3x3 is one 6x6 with stride 2."""
SMALL = ((16, 3, 2, 1), (32, 3, 2, 1))


def network(convs: tuple[Conv, ...], hidden: tuple[int, ...], *, steps: int) -> Program:
    """An IF network on 3x32x32 images, its membrane summed over the steps at 10 outputs."""
    rng, shapes = np.random.default_rng(0), {SOURCE.name: SOURCE.shape}
    populations, synapses, before = [], [], SOURCE.name
    for phase, size in enumerate((*convs, *hidden, 10)):
        name, is_last = f"layer{phase}", phase == len(convs) + len(hidden)
        synapses.append(_synapse(rng, before, name, shapes[before], size))
        shapes[name] = synapses[-1].output_shape(shapes[before])
        rule: dict[str, Any] = (
            {"dv": 4096, "vth": 131071} if is_last else {"vth": _vth(synapses[-1])}
        )
        populations.append(Population(name=name, shape=shapes[name], phase=phase, **rule))
        before = name
    return Program(
        sources=(SOURCE,),
        populations=tuple(populations),
        synapses=tuple(synapses),
        outputs=(before,),
        encoding=Encoding(offset=(128, 128, 128), steps=steps),
        readout=Readout(population=before, kind="sum", scale=1e-4),
    )


def _synapse(
    rng: np.random.Generator, source: str, target: str, shape: tuple[int, ...], size: Conv | int
) -> Synapse:
    if isinstance(size, int):
        return Synapse(source=source, target=target, weight=_weights(rng, size, math.prod(shape)))
    channels, kernel, stride, padding = size
    return Synapse(
        source=source,
        target=target,
        weight=_weights(rng, channels, shape[0], kernel, kernel),
        stride=(stride, stride),
        padding=(padding, padding),
    )


def _weights(rng: np.random.Generator, *shape: int) -> np.ndarray:
    # Images carry eight bits themselves: above five more, u could wrap, which deploying refuses.
    largest = 31 if shape[1] == SOURCE.shape[0] else 127
    return rng.integers(-largest, largest + 1, shape).astype(np.int32)


def _vth(synapse: Synapse) -> int:
    """About half a standard deviation of what arrives, so that some fire and some do not."""
    size = math.prod(synapse.weight.shape[1:])
    return int(math.sqrt(size) * (500 if synapse.source == SOURCE.name else 15))
