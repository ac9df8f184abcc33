"""Numbers of a `.net` layer: what cannot be meant is refused, what Lava changes is noted."""

import math

import numpy as np
from jaxtyping import Int64

from ..core.errors import FormatError
from .hdf5 import Fields

MAX_NEURONS = 1 << 26
MAX_DELAY = 62
INT32 = 1 << 31


def read_whole(layer: Fields, key: str, changes: list[str]) -> Int64[np.ndarray, "..."]:
    """A dataset as whole numbers, fractions dropped towards zero as Lava does.

    Args:
        layer: Where it lies.
        key: Its name.
        changes: Gets a line where numbers were changed.

    Raises:
        FormatError: If it is missing or empty, or a number needs more than 32 bits.
    """
    stated = layer.numbers(key)
    # Compared in float64: float16 cannot hold the limits themselves.
    low, high = (float(f(stated)) if stated.size else math.nan for f in (np.min, np.max))
    if not (low >= -INT32 and high < INT32):
        raise FormatError(
            f"expected {layer.place}/{key} to hold 32-bit numbers, got {_extent(stated)}; mend the "
            f"layer"
        )
    whole = stated.astype(np.int64)
    if stated.dtype.kind == "f" and (whole != stated).any():
        changes.append(f"fractions in {key}")
    return whole


def read_matrix(
    layer: Fields, key: str, rows: int, changes: list[str]
) -> Int64[np.ndarray, "out in"]:
    """A weight matrix of so many rows, stated as one or as a row-major vector.

    Raises:
        FormatError: If it has another number of rows.
    """
    weight = read_whole(layer, key, changes)
    if weight.ndim == 1 and weight.size % rows == 0:
        weight = weight.reshape(rows, -1)
    if weight.ndim != 2 or weight.shape[0] != rows:
        raise FormatError(
            f"expected {layer.place}/{key} of shape [{rows}, in], got {list(weight.shape)}; mend "
            f"the layer"
        )
    return weight


def read_shape(layer: Fields) -> tuple[int, ...]:
    """A layer's `(C, H, W)` or `(N,)`.

    Raises:
        FormatError: If it is no such shape, or too large.
    """
    shape = _counts(layer, "shape", (1, 3))
    if min(shape) < 1 or math.prod(shape) > MAX_NEURONS:
        raise FormatError(
            f"expected {layer.place} to have a shape (C, H, W) or (N,) of at most 2^26 neurons, "
            f"got {shape}; mend the layer"
        )
    return shape


def read_pair(layer: Fields, key: str) -> tuple[int, int]:
    """`(H, W)`, stated as two numbers or as one for both."""
    value = _counts(layer, key, (1, 2))
    return value[0], value[-1]


def read_scalar(layer: Fields, key: str) -> int:
    """One whole number, alone or in an array.

    Raises:
        FormatError: If there are several, or a fraction, on which Lava fails.
    """
    return _counts(layer, key, (1,))[0]


def read_delay(
    layer: Fields, shape: tuple[int, ...], changes: list[str]
) -> int | Int64[np.ndarray, "out in"]:
    """Delays of a dense layer's synapses: one for all, or one for each of its weights.

    Raises:
        FormatError: If one is negative, or they are neither the outputs', nor the inputs', nor
            one for each weight.
    """
    place = layer.place
    if "delay" not in layer:
        return 0
    stated = read_whole(layer, "delay", changes)
    if stated.min() < 0:
        raise FormatError(
            f"expected delays of at least 0 in {place}, got {stated.min()}; mend the layer"
        )
    delay = np.minimum(stated, MAX_DELAY)
    if (stated > MAX_DELAY).any():
        changes.append(f"delays up to {stated.max()} outside 0..{MAX_DELAY}")
    if delay.ndim == 0:
        # Zeros too, where they are stated, are summed by Lava's process for delays.
        return int(delay) or np.zeros(shape, np.int64)
    if delay.ndim == 1 and delay.size == shape[0]:
        return np.repeat(delay[:, None], shape[1], axis=1)
    if delay.ndim == 1 and delay.size == shape[1]:
        return np.repeat(delay[None, :], shape[0], axis=0)
    if delay.shape == shape:
        return delay
    raise FormatError(
        f"expected delays for the outputs, the inputs or all of {list(shape)} in {place}, got "
        f"shape {list(delay.shape)}; mend the layer"
    )


def _counts(layer: Fields, key: str, lengths: tuple[int, ...]) -> tuple[int, ...]:
    """A few whole numbers, where a fraction would mean another network."""
    changes: list[str] = []
    value = read_whole(layer, key, changes)
    if value.size not in lengths or changes:
        found = f"{value.size} of {_extent(value)}{' with fractions' if changes else ''}"
        raise FormatError(
            f"expected {layer.place}/{key} to hold {' or '.join(map(str, lengths))} whole numbers, "
            f"got {found}; mend the layer"
        )
    return tuple(int(n) for n in value.reshape(-1))


def _extent(values: np.ndarray) -> str:
    return f"{values.min():g}..{values.max():g}" if values.size else "none"
