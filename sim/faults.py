"""Faults of hardware: flipped bits of stored weights, spikes that are lost on their way."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..core.errors import ConfigError, RangeError
from ..core.randomness import generator
from .program import Program, Synapse

BITS = 8
"""Of a stored weight, in two's complement."""
HALF = 1 << (BITS - 1)


def flipped(program: Program, *, rate: float, seed: int, draw: int) -> Program:
    """The program after each stored bit of each weight, relays' included, flipped with a chance.

    The draws of a bit do not depend on the rate: what flips at one flips at every higher one.

    Args:
        program: What is stored; not changed.
        rate: Chance of a bit, 0 to 1.
        seed: Of all draws.
        draw: Which one.

    Raises:
        ConfigError: If the rate is no chance.
        RangeError: If a weight is wider than a byte.
    """
    _check_rate(rate)
    check_width(program)
    synapses = tuple(
        replace(synapse, weight=_flipped(synapse, rate, generator(seed, "flips", draw, number)))
        for number, synapse in enumerate(program.synapses)
    )
    return replace(program, synapses=synapses)


def check_width(program: Program) -> None:
    """Refuses weights that no byte holds.

    Raises:
        RangeError: Naming the synapse.
    """
    for synapse in program.synapses:
        low, high = int(synapse.weight.min(initial=0)), int(synapse.weight.max(initial=0))
        if low < -HALF or high >= HALF:
            raise RangeError(
                f"expected weights of synapse {synapse.label} in {-HALF}..{HALF - 1}, got "
                f"{low}..{high}; bits flip in weights of a byte"
            )


def _flipped(synapse: Synapse, rate: float, draws: np.random.Generator) -> Int[np.ndarray, "..."]:
    weight = synapse.weight.astype(np.int32)
    for bit in range(BITS):
        is_hit = draws.random(weight.shape, dtype=np.float32) < rate
        weight = weight ^ (is_hit.astype(np.int32) << bit)
    return ((weight + HALF) & (2 * HALF - 1)) - HALF


@dataclass(frozen=True, kw_only=True, eq=False)
class LostSpikes:
    """A wire (`twin.Wire`) that loses each spike with a chance, for all that it would reach.

    What enters from outside the chip is not lost. The draws of a spike belong to its sample, and do
    not depend on the rate.

    Args:
        rate: Chance of a spike, 0 to 1.
        seed: Of all draws.
        draw: Which one.
        keys: Identity of each sample of the batch.

    Raises:
        ConfigError: If the rate is no chance.
    """

    rate: float
    seed: int
    draw: int
    keys: tuple[int, ...]

    def __post_init__(self) -> None:
        _check_rate(self.rate)

    def __call__(
        self, name: str, spikes: Float[Tensor, "T N *shape"]
    ) -> Float[Tensor, "T N *shape"]:
        """The spikes that arrive."""
        shape = (spikes.shape[0], *spikes.shape[2:])
        chances = (
            generator(self.seed, "lost", self.draw, name, key).random(shape, dtype=np.float32)
            for key in self.keys
        )
        arrives = np.stack([chance >= self.rate for chance in chances], axis=1)
        return spikes * torch.from_numpy(arrives).to(spikes)


def _check_rate(rate: float) -> None:
    if not 0 <= rate <= 1:
        raise ConfigError(f"expected a rate of faults in 0..1, got {rate}; give a chance")
