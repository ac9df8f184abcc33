"""Two recordings of the same network, layer by layer: how much differs, and where it begins."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from ..core.errors import DataError

Pair = tuple[str, str, np.ndarray, np.ndarray]
"""Layer, quantity, and both sides of it, integers `[T, N, *shape]`."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Where two runs part first.

    Args:
        quantity: `spike`, `u` or `v`.
        layer: Name of the population.
        sample: From 0.
        step: From 1.
        neuron: Place in the layer, `(c, h, w)` or `(n,)`.
        names: What the two runs are called.
        values: What each of them holds there.
    """

    quantity: str
    layer: str
    sample: int
    step: int
    neuron: tuple[int, ...]
    names: tuple[str, str]
    values: tuple[int, int]

    def __str__(self) -> str:
        sides = ", ".join(f"{n} {v}" for n, v in zip(self.names, self.values, strict=True))
        return (
            f"{self.quantity} of layer {self.layer!r}, sample {self.sample}, step {self.step}, "
            f"neuron {self.neuron}: {sides}"
        )


@dataclass(frozen=True, kw_only=True)
class LayerDifference:
    """One quantity of one layer: how many of its values differ, and the first of them."""

    layer: str
    quantity: str
    values: int
    differences: int
    first: Difference | None


def differences(pairs: Iterable[Pair], *, names: tuple[str, str]) -> list[LayerDifference]:
    """Compares whatever two backends recorded.

    Args:
        pairs: Both sides of every quantity, in the order in which they are to be looked at.
        names: What the two sides are called, as in `("twin", "Lava")`.

    Raises:
        DataError: If the two sides of a quantity have different shapes.
    """
    return [_layer_difference(pair, names) for pair in pairs]


def traces(
    one: dict[str, Int[np.ndarray, "T N *shape"]],
    other: dict[str, Int[np.ndarray, "T N *shape"]],
    layers: tuple[str, ...],
) -> list[Pair]:
    """Pairs from two traces, `s{k}` and, where both have them, `u{k}` and `v{k}` of layer k."""
    quantities = {"s": "spike", "u": "u", "v": "v"}
    return [
        (layer, quantity, one[f"{key}{k}"], other[f"{key}{k}"])
        for k, layer in enumerate(layers)
        for key, quantity in quantities.items()
        if f"{key}{k}" in one and f"{key}{k}" in other
    ]


def first_of(found: Iterable[LayerDifference]) -> Difference | None:
    """The first difference of the first layer that has one."""
    return next((each.first for each in found if each.first is not None), None)


def _layer_difference(pair: Pair, names: tuple[str, str]) -> LayerDifference:
    layer, quantity, one, other = pair
    if one.shape != other.shape:
        raise DataError(
            f"expected {quantity} of layer {layer!r} to have one shape, got {list(one.shape)} by "
            f"{names[0]} and {list(other.shape)} by {names[1]}; record the same network and steps"
        )
    places = np.argwhere(one != other)
    first = None
    if len(places):
        place = tuple(int(i) for i in places[0])
        first = Difference(
            quantity=quantity,
            layer=layer,
            sample=place[1],
            step=place[0] + 1,
            neuron=place[2:],
            names=names,
            values=(int(one[place]), int(other[place])),
        )
    return LayerDifference(
        layer=layer, quantity=quantity, values=one.size, differences=len(places), first=first
    )
