"""Whole numbers of at most 32 bits from fields of an HDF5 file."""

import math

import numpy as np
from jaxtyping import Int64, Integer

from ..core.errors import FormatError
from .hdf5 import Fields
from .program import INT32


def read_whole(layer: Fields, key: str, changes: list[str]) -> Int64[np.ndarray, "..."]:
    """A dataset as whole numbers, fractions dropped towards zero as Lava does.

    Args:
        layer: Where it lies.
        key: Its name.
        changes: Gets a line where numbers were changed.

    Raises:
        FormatError: If it is missing or empty, or a number needs more than 32 bits.
    """
    stated = _in_32_bits(layer, key)
    whole = stated.astype(np.int64)
    if stated.dtype.kind == "f" and (whole != stated).any():
        changes.append(f"fractions in {key}")
    return whole


def read_integers(layer: Fields, key: str) -> Integer[np.ndarray, "..."]:
    """A dataset of integers, in the type that the file stores them in: Lava computes on in it.

    Truth values become int64, as in numpy's arithmetic.

    Raises:
        FormatError: As `read_whole`, and if it holds floats, on which Lava fails.
    """
    stated = _in_32_bits(layer, key)
    if stated.dtype.kind == "f":
        raise FormatError(
            f"expected {layer.place}/{key} to hold integers, got {stated.dtype}, on which Lava "
            f"fails; store it as int32"
        )
    return stated.astype(np.int64) if stated.dtype.kind == "b" else stated


def _in_32_bits(layer: Fields, key: str) -> np.ndarray:
    stated = layer.numbers(key)
    # Compared in float64: float16 cannot hold the limits themselves.
    low, high = (float(f(stated)) if stated.size else math.nan for f in (np.min, np.max))
    if not (low >= -INT32 and high < INT32):
        found = f"{low:g}..{high:g}" if stated.size else "none"
        raise FormatError(
            f"expected {layer.place}/{key} to hold 32-bit numbers, got {found}; mend the layer"
        )
    return stated
