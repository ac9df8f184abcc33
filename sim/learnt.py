"""What of a program is learnt: weights and biases as tensors that gradients reach."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from ..core.errors import DataError, UnsupportedNodeError
from .program import Population, Program


@dataclass(frozen=True, kw_only=True, eq=False)
class Learnt:
    """The numbers of a program, as functions of something that is trained.

    Forward, a twin computes with the program's own integers; these have to equal them. Backward,
    they receive the gradients of the de-quantised network.

    Args:
        weights: By population, one tensor a synapse, in the order of `Program.into`.
        biases: By population, one value a channel or neuron.
    """

    weights: Mapping[str, tuple[Tensor, ...]] = field(default_factory=dict)
    biases: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def requires_grad(self) -> bool:
        """Whether anything is to be learnt."""
        tensors = (*chain.from_iterable(self.weights.values()), *self.biases.values())
        return any(tensor.requires_grad for tensor in tensors)

    def check(self, program: Program, groups: list[tuple[Population, ...]]) -> None:
        """Refuses numbers that are not the program's, and loops.

        Raises:
            DataError: If a tensor differs from what the program holds.
            UnsupportedNodeError: If a learnt population spikes onto itself, or a synapse has delays
                of its own for each weight.
        """
        for name, weights in self.weights.items():
            synapses = program.into(name)
            if len(weights) != len(synapses):
                raise DataError(
                    f"expected {len(synapses)} learnt weights into {name!r}, got {len(weights)}; "
                    "give one a synapse"
                )
            for synapse, weight in zip(synapses, weights, strict=True):
                _check_equal(f"weights of synapse {synapse.label}", weight, synapse.weight)
                if not isinstance(synapse.delay, int):
                    raise UnsupportedNodeError(
                        f"expected one delay for learnt synapse {synapse.label}, got one for each "
                        "weight; only what deploy writes is learnt"
                    )
        for name, bias in self.biases.items():
            held = program.population(name).bias
            _check_equal(f"bias of {name!r}", bias, np.zeros(1) if held is None else held)
        self._check_loops(program, groups)

    def _check_loops(self, program: Program, groups: list[tuple[Population, ...]]) -> None:
        for group in groups:
            names = {population.name for population in group}
            for name in sorted(names & (self.weights.keys() | self.biases.keys())):
                if any(synapse.source in names for synapse in program.into(name)):
                    raise UnsupportedNodeError(
                        f"expected learnt population {name!r} outside of loops, got a loop; only "
                        "what deploy writes is learnt"
                    )


def bias_gradient(total: Tensor, bias: Tensor) -> Tensor:
    """Sums `[t, N, C, ...]` as they are, with a gradient into the bias that neurons add later."""
    nothing = (bias - bias.detach()).to(total)
    return total + nothing.reshape(-1, *(1 for _ in total.shape[3:]))


def _check_equal(what: str, found: Tensor, held: np.ndarray) -> None:
    ours = found.detach().cpu().to(torch.float64).flatten()
    theirs = torch.from_numpy(held.astype(np.float64)).flatten()
    if not torch.equal(ours, theirs.expand(len(ours)) if len(theirs) == 1 else theirs):
        raise DataError(
            f"expected the {what} to be the program's, got others; quantise and learn the same ones"
        )
