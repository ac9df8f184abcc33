"""What lava-dl's netx and Lava's dense process together make of a dense weight matrix.

netx scales the matrix up to fill eight bits and hands down an exponent; the process clips and
truncates by a sign mode that it determines anew, sums, and shifts the sum back. For a matrix of
both signs within −256..254 the net effect is exact; matrices of one sign have surprises, up to the
loss of every weight. Follows lava-dl 0.6.0 `netx/utils.py` and lava-nc 0.10.0 `weightutils.py`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from ...core.errors import FormatError
from ..program import INT32, STATE_SHIFT

MIXED_LOW, MIXED_HIGH = -256, 254


@dataclass(frozen=True, kw_only=True, eq=False)
class DenseWeights:
    """Weights that act, and the right shift (floor) after their sum."""

    weight: Int[np.ndarray, "out in"]
    shift: int


def dense_weights(
    weight: Int[np.ndarray, "out in"], *, place: str, peak: int = 1, is_delayed: bool = False
) -> DenseWeights:
    """The weights that Lava applies for those that a `.net` file states.

    Args:
        weight: As stated, whole numbers.
        place: File and layer, for messages.
        peak: Greatest size of an input value.
        is_delayed: Whether delays are stated, zeros included: 64 bits sum products of 32.

    Raises:
        FormatError: If all are zero, which Lava cannot load.
    """
    scaled, bits, kept = _netx(weight, place)
    return _undo_shift(_process(scaled, kept), bits, peak, is_delayed=is_delayed)


def recurrent_weights(
    weight: Int[np.ndarray, "out in"],
    recurrent: Int[np.ndarray, "out out"],
    *,
    place: str,
    peak: int = 1,
) -> tuple[DenseWeights, DenseWeights]:
    """As `dense_weights` for a recurrent layer: scaled as one matrix, truncated each by itself."""
    scaled, bits, kept = _netx(np.hstack((weight, recurrent)), place)
    split = weight.shape[1]
    halves = scaled[:, :split], scaled[:, split:]
    first, second = (
        _undo_shift(_process(half, kept), bits, size)
        for half, size in zip(halves, (peak, 1), strict=True)
    )
    return first, second


def weight_changes(stated: Int[np.ndarray, "out in"], acting: DenseWeights) -> list[str]:
    """What Lava makes of stated weights, in words; nothing where they act as they are."""
    if np.array_equal(np.left_shift(stated, acting.shift), acting.weight):
        return []
    if not acting.weight.any():
        largest = int(np.abs(stated).max())
        return [f"weights of one sign up to {largest}, all of which Lava sets to 0"]
    if stated.min() < MIXED_LOW or stated.max() > MIXED_HIGH:
        return [f"weights {stated.min()}..{stated.max()} outside {MIXED_LOW}..{MIXED_HIGH}"]
    return [f"weights of one sign, of which Lava rounds {int(stated.min())}"]


def _netx(weight: np.ndarray, place: str) -> tuple[np.ndarray, int, int]:
    """Scaled weights, by how many bits, and how many bits of them the process shall keep.

        w ← w·2ᵇ,  b = ⌊log₂ s⌋ + m,  kept = 8 − b − (e − m)
        s = min(127/max w, −128/min w) with both signs, 255/max w or −256/min w with one
        m = 1 where both signs occur, else 0;  e: trailing zero bits that all weights share

    `optimize_weight_bits` of lava-dl 0.6.0.
    """
    high, low = int(weight.max()), int(weight.min())
    if high == low == 0:
        raise FormatError(
            f"expected a weight that is not zero in {place}, got a matrix of zeros, which Lava "
            f"cannot load; leave the layer out or set a weight"
        )
    if (high > MIXED_HIGH and low < 0) or (low < MIXED_LOW and high > 0):
        weight = np.clip(weight, MIXED_LOW, MIXED_HIGH)
        high, low = int(weight.max()), int(weight.min())
    signed = low < 0 <= high
    if signed:
        scale = min(127 / high if high else np.inf, -128 / low)
    else:
        scale = -256 / low if high < 0 else 255 / high
    bits = int(np.floor(np.log2(scale))) + signed
    even = next((n for n in range(8, 0, -1) if not (weight % (1 << n)).any()), 0)
    # A negative count empties the matrix: that is numpy's rule, and so what Lava computes.
    return np.left_shift(weight.astype(np.int32), np.int32(bits)), bits, 8 - bits - (even - signed)


def _process(weight: np.ndarray, kept: int) -> np.ndarray:
    """Clipped and truncated by the sign mode that the weights themselves show.

        w ← ±(min(±w, 255) >> d) << d,  d = 8 − kept + m,  ± being − where no weight is positive

    `truncate_weights` of lava-nc 0.10.0.
    """
    inhibitory = weight.min() < 0 and weight.max() <= 0
    mixed = weight.min() < 0 < weight.max()
    sign = np.int32(-1 if inhibitory else 1)
    clipped = np.clip(sign * weight, -256 if mixed else 0, 255)
    dropped = np.int32(8 - kept + mixed)
    return sign * np.left_shift(np.right_shift(clipped, dropped), dropped)


def _undo_shift(
    weight: np.ndarray, bits: int, peak: int, *, is_delayed: bool = False
) -> DenseWeights:
    """Takes the final shift into the weights where that is exact."""
    size = np.abs(weight.astype(np.int64))
    in_32_bits = size.max(initial=0) if is_delayed else size.sum(axis=1).max(initial=0)
    if (weight % (1 << max(bits, 0))).any() or _loses_bits(int(in_32_bits) * peak, bits):
        return DenseWeights(weight=weight, shift=bits)
    return DenseWeights(weight=weight >> max(bits, 0), shift=0)


def _loses_bits(largest: int, bits: int) -> bool:
    """Whether what is held in 32 bits wraps before its shift, and it shows.

    Up to six bits lost on top do not: the neuron shifts its activation left by as many.
    """
    return bits > STATE_SHIFT and largest >= INT32
