"""Numbers of a population: one that all its neurons share, or one for each of them."""

import numpy as np
import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from ..core.errors import FormatError

PerNeuron = int | Int[np.ndarray, "..."]
"""An integer, or integers broadcastable to a population's shape."""


def check_per_neuron(
    value: int | Shaped[np.ndarray, "..."], shape: tuple[int, ...], *, what: str
) -> None:
    """Refuses what is no integer for each neuron.

    Args:
        value: One number or several.
        shape: The population's.
        what: Whose numbers they are, for messages.

    Raises:
        FormatError: If they are no integers, or not of its shape.
    """
    stated = np.asarray(value)
    if stated.dtype.kind not in "iu":
        raise FormatError(f"expected integer {what}, got {stated.dtype}; round them")
    if not fills(stated.shape, shape):
        raise FormatError(
            f"expected {what} for shape {shape}, got shape {stated.shape}; state one a neuron or "
            f"one a channel"
        )


def fills(stated: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether numpy broadcasts an array of the first shape to the second."""
    return len(stated) <= len(shape) and all(
        n in (1, m) for n, m in zip(stated[::-1], shape[::-1], strict=False)
    )


def simplest(values: Int[np.ndarray, "..."]) -> PerNeuron:
    """One number where all are equal."""
    first = int(values.flat[0])
    return first if (values == first).all() else values


def on_device(value: PerNeuron, device: torch.device) -> int | Tensor:
    """One number where all are equal, else int64 on a device."""
    value = simplest(np.asarray(value))
    return value if isinstance(value, int) else torch.from_numpy(value.astype(np.int64)).to(device)
