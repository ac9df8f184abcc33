"""Who reads whom among the layers of a network, and sums with learned weights."""

from collections.abc import Mapping
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..core.errors import UnsupportedNodeError

INPUT = "input"
"""Name of what the first layer reads."""


class Wired(nn.Sequential):
    """Layers in order of computation, of which some read others than the layer before.

    Args:
        layers: By name.
        wiring: Names of what a layer reads, where that is not the layer before it.
    """

    def __init__(
        self, layers: Mapping[str, nn.Module], wiring: Mapping[str, tuple[str, ...]]
    ) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.wiring = dict(wiring)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Refuses: only the network knows which layers run once and which at every step."""
        raise UnsupportedNodeError(
            f"expected SpikingNetwork.walk to run wired layers, got a call with a tensor of shape "
            f"{list(input.shape)}; walk the network"
        )


def sources_of(layers: nn.Sequential) -> dict[str, tuple[str, ...]]:
    """Names of what each layer reads; `INPUT` is the image."""
    names = [INPUT, *(name for name, _ in layers.named_children())]
    chain = {name: (before,) for before, name in pairwise(names)}
    return chain | (layers.wiring if isinstance(layers, Wired) else {})


class Mixture(nn.Module):
    """Σ weight·current with one learned weight a summand: a residual sum.

    Args:
        count: How many currents; each starts with the weight 1/count.
    """

    def __init__(self, count: int = 2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((count,), 1.0 / count))

    def forward(self, *currents: Float[Tensor, "..."]) -> Tensor:
        """The sum. A current without a time axis is the same at every step."""
        total = currents[0] * self.weight[0]
        for current, weight in zip(currents[1:], self.weight[1:], strict=True):
            total = total + current * weight
        return total
