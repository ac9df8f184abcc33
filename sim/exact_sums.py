"""When floating point sums integers exactly: a bound is checked, never assumed.

A float32 sum of integers is exact, in any order, while all positive products of each output add up
to less than 2²⁴ and so do the negative ones (float64: 2⁵³), since then every partial sum is an
integer that the format holds. Weights and inputs beyond 2⁸ need float64 also where their sums are
small: short cuts that may be switched on at any time (TF32, bfloat16 products) round them in
float32, and leave float64 alone.
"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Int

from ..core.errors import RangeError
from .program import Synapse

FLOAT32_EXACT = 1 << 24
FLOAT64_EXACT = 1 << 53
SHORT_EXACT = 1 << 8
"""Integers up to here are exact in bfloat16, TF32 and float16."""


def channel_bounds(synapse: Synapse, *, low: int, high: int) -> Int[np.ndarray, "out"]:
    """Greatest |sum| into each output channel, before any shift, also of a part of the inputs.

    Args:
        synapse: The synapse.
        low: Least value of an input; 0 always occurs, at a border if nowhere else.
        high: Greatest value.

    Returns:
        At most 2⁵⁴, which is beyond every format.
    """
    weight = synapse.weight.astype(np.int64).reshape(len(synapse.weight), -1)
    up, down = np.maximum(weight, 0).sum(axis=1), np.minimum(weight, 0).sum(axis=1)
    # Python's integers: products of 32-bit weights and payloads, summed, leave 64 bits.
    up, down, low, high = up.astype(object), down.astype(object), min(low, 0), max(high, 0)
    greatest = np.maximum(up * high + down * low, -(up * low + down * high))
    return np.minimum(greatest, 2 * FLOAT64_EXACT).astype(np.int64)


def activation_bounds(synapse: Synapse, *, low: int, high: int) -> Int[np.ndarray, "out"]:
    """Greatest |activation| of each output channel with inputs in `low..high`: after the shift."""
    # Rounding down makes a negative sum larger.
    return -(-channel_bounds(synapse, low=low, high=high) >> synapse.shift)


def activation_bound(synapse: Synapse, *, low: int, high: int) -> int:
    """Greatest |activation| that a synapse can cause with inputs in `low..high`."""
    return int(activation_bounds(synapse, low=low, high=high).max(initial=0))


def exact_dtype(bound: int, *, largest: int) -> torch.dtype:
    """The fastest float type that sums products of integers exactly.

    Args:
        bound: Greatest size of a sum.
        largest: Greatest size of a weight or an input.

    Raises:
        RangeError: If none does.
    """
    if bound < FLOAT32_EXACT and largest <= SHORT_EXACT:
        return torch.float32
    if bound < FLOAT64_EXACT:
        return torch.float64
    raise RangeError(
        f"expected sums below 2^53, got up to {bound}; use smaller weights or payloads"
    )


def self_test(device: torch.device) -> None:
    """Worst-case sums through the convolution and the product that this machine really uses.

    Random operands do not find a short accumulator, so all terms have one sign and sit just below
    the bound; Winograd kernels and float16 or bfloat16 sums fail here.

    Raises:
        RangeError: If a sum is not exact.
    """
    for dtype, limit in ((torch.float32, FLOAT32_EXACT), (torch.float64, FLOAT32_EXACT << 20)):
        channels, peak = 56, 255
        largest = (limit - 1) // (channels * 9 * peak)
        weight = torch.full((8, channels, 3, 3), float(largest), dtype=dtype, device=device)
        weight[:, 0, 1, 1] -= 1.0
        x = torch.full((2, channels, 9, 9), float(peak), dtype=dtype, device=device)
        expected = channels * 9 * peak * largest - peak
        for sums in (F.conv2d(x, weight), F.linear(x[:, :, :3, :3].flatten(1), weight.flatten(1))):
            if not bool((sums == expected).all()):
                raise RangeError(
                    f"expected exact {dtype} sums on {device}, got a difference of "
                    f"{float((sums - expected).abs().max()):g}; switch reduced precision off"
                )
