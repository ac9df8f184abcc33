"""What a NIR node becomes when it is run: a linear map, or a population of neurons."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...core.errors import FormatError, UnsupportedNodeError

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearLayer:
    """A map without memory: `apply` takes `[T, N, *in]` to `[T, N, *shape]`."""

    shape: Shape
    apply: Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class NeuronLayer:
    """Neurons v ← decay·v + gain·x that fire where v > theta and then reset to 0.

    Each parameter is a number where the layer shares it, else a tensor of the layer's `shape`.
    """

    shape: Shape
    theta: float | Tensor
    decay: float | Tensor
    gain: float | Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class MembraneLayer:
    """Any other neurons, and integrators, which no multi-step kernel covers.

        i ← synapse·i + x;  h ← decay·v + gain·i;  s = [h > theta];  v ← h·(1 − s) + reset·s
        or, where there is a `drop`, v ← h − drop·s

    The membrane is counted from where it rests, which is where it starts. Neurons send s,
    integrators (without theta) send rest + h. A parameter is a number where the layer shares it,
    else a tensor of the layer's `shape`.
    """

    shape: Shape
    theta: float | Tensor | None
    decay: float | Tensor
    gain: float | Tensor
    synapse: float | Tensor = 0.0
    reset: float | Tensor = 0.0
    drop: float | Tensor | None = None
    rest: float | Tensor = 0.0


def as_membrane(layer: NeuronLayer | MembraneLayer) -> MembraneLayer:
    """The same neurons by the equations that cover all."""
    if isinstance(layer, MembraneLayer):
        return layer
    parameters = {key: getattr(layer, key) for key in ("shape", "theta", "decay", "gain")}
    return MembraneLayer(**parameters)


@dataclass(frozen=True, kw_only=True, eq=False)
class DelayLayer:
    """What arrives, `steps` later: a number, or one per neuron."""

    shape: Shape
    steps: int | Tensor


Layer = LinearLayer | NeuronLayer | MembraneLayer | DelayLayer


def fires(layer: Layer | None) -> bool:
    """Whether a node sends spikes."""
    is_neuron = isinstance(layer, MembraneLayer) and layer.theta is not None
    return is_neuron or isinstance(layer, NeuronLayer)


@dataclass(frozen=True, kw_only=True, eq=False)
class Site:
    """Where a node stands: its name and parameters, the shape that reaches it, and the run's terms.

    `shape` has no time and no batch axis; `dt` is the time step in the unit of the node's `tau`;
    `reset` and `integration` are those of `NirMeta`.
    """

    name: str
    kind: str
    fields: Mapping[str, Any]
    shape: Shape
    dt: float
    dtype: torch.dtype
    device: torch.device
    reset: str = "zero"
    integration: str = "euler"

    def array(self, field: str) -> np.ndarray:
        """The parameter `field` in float64.

        Raises:
            FormatError: If it is absent, not numeric, or not finite.
        """
        value = np.asarray(self.fields.get(field))
        if value.dtype.kind not in "biuf":
            raise FormatError(
                f"expected numbers in {field!r} of node {self.name!r}, got {value.dtype}; "
                "the file is damaged"
            )
        value = value.astype(np.float64)
        if not np.isfinite(value).all():
            bad = int((~np.isfinite(value)).sum())
            raise FormatError(
                f"expected finite numbers in {field!r} of node {self.name!r}, got {bad} NaN or "
                "infinite; export the network again"
            )
        return value

    def tensor(self, value: np.ndarray) -> Tensor:
        """`value` in the precision and on the device of the run.

        Raises:
            FormatError: If that precision does not hold it.
        """
        found = torch.as_tensor(value, dtype=self.dtype, device=self.device)
        if not bool(torch.isfinite(found).all()):
            raise FormatError(
                f"expected numbers at node {self.name!r} ({self.kind}) that {self.dtype} holds, "
                f"got up to {np.abs(value).max():g}; rescale the layer"
            )
        return found

    def integers(self, field: str, count: int) -> Shape:
        """The parameter `field` as `count` whole numbers; one number stands for all of them.

        Raises:
            FormatError: If it holds something else.
        """
        value = self.array(field).reshape(-1)
        if value.size not in (1, count) or (value != np.floor(value)).any():
            raise FormatError(
                f"expected {count} whole numbers in {field!r} of node {self.name!r}, got "
                f"{value.tolist()}; the file is damaged"
            )
        return tuple(int(number) for number in np.broadcast_to(value, (count,)))

    def require_shape(self, expected: Shape, what: str) -> None:
        """Refuses an input that is not `expected`.

        Raises:
            FormatError: If the shapes differ.
        """
        if self.shape != expected:
            raise FormatError(
                f"expected an input of shape {expected} at node {self.name!r} ({what}), got "
                f"{self.shape}; check the edges into it"
            )

    def unsupported(self, expected: str, got: object, advice: str) -> UnsupportedNodeError:
        """The error that refuses this node."""
        return UnsupportedNodeError(
            f"expected {expected} at node {self.name!r} ({self.kind}), got {got}; {advice}"
        )


def over_time(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Lets a function of `[B, ...]` work on `[T, N, ...]`."""

    def apply(x: Tensor) -> Tensor:
        return function(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    return apply
