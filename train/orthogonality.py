"""RAT's weight regularisation: layers pulled towards orthogonal ones (Ding et al. 2022)."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..core.transfer import send
from .wiring import Mixture

MANY_ROWS = 200
SHARE = 0.3


@dataclass(frozen=True, kw_only=True)
class Orthogonality:
    """After an optimizer's step, W ← (1 + β)·W − β·W·Wᵀ·W for each layer's matrix [out, rest].

    One gradient step on β/4·‖W·Wᵀ − 1‖², the tightness of Parseval networks (Cisse et al. 2017),
    which bounds the layer's Lipschitz constant. A dense layer of 200 rows or more is treated on a
    random 30 % of them. The weights of a residual sum become the nearest ones that are not negative
    and add up to 1, so that no sum is larger than its summands (ibid.).

    Args:
        weight: β.
    """

    weight: float

    @torch.no_grad()
    def __call__(self, network: nn.Module, *, draws: torch.Generator) -> None:
        """Changes the network's weights, and is meant to.

        Args:
            network: Its convolutions, dense layers and residual sums are treated, in order.
            draws: Decides the rows, on the CPU.
        """
        for layer in _linear(network):
            matrix = layer.weight.flatten(1)
            if isinstance(layer, nn.Linear) and len(matrix) >= MANY_ROWS:
                rows = torch.randperm(len(matrix), generator=draws)[: round(SHARE * len(matrix))]
                rows = send(rows, matrix.device)
                matrix[rows] = retracted(matrix[rows], self.weight)
            else:
                # Into the layer's own memory: with channels last `matrix` is a copy.
                layer.weight.copy_(retracted(matrix, self.weight).view_as(layer.weight))
        for mixture in network.modules():
            if isinstance(mixture, Mixture):
                mixture.weight.copy_(on_simplex(mixture.weight))


def retracted(matrix: Float[Tensor, "rows rest"], weight: float) -> Float[Tensor, "rows rest"]:
    """(1 + β)·W − β·W·Wᵀ·W."""
    return (1.0 + weight) * matrix - weight * (matrix @ matrix.T) @ matrix


def on_simplex(weights: Float[Tensor, " count"]) -> Float[Tensor, " count"]:
    """The nearest weights w ≥ 0 with Σw = 1: max(w − τ, 0) (Duchi et al. 2008, Fig. 1)."""
    descending = weights.sort(descending=True).values
    ranks = torch.arange(1, len(weights) + 1, device=weights.device)
    shifts = (descending.cumsum(0) - 1.0) / ranks
    # The place of the last kept weight as a tensor: as a number it would have to be waited for.
    last = (descending > shifts).sum(0, keepdim=True) - 1
    return (weights - shifts.gather(0, last)).clamp(min=0.0)


def _linear(network: nn.Module) -> Iterator[nn.Conv2d | nn.Linear]:
    return (layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear))
