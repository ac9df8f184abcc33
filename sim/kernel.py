"""Exact integer sums with floating-point convolutions: a bound is checked, never assumed.

A float32 sum of integers is exact, in any order, while Σ|w|·max|x| < 2²⁴ over each output's inputs
(float64: 2⁵³), since then every partial sum is an integer that the format holds. Weights and inputs
beyond 2⁸ go the slow way too: short cuts that may be switched on at any time (TF32, bfloat16
products) round them, and leave float64 alone.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.grad import conv2d_input

from ..core.errors import RangeError
from .fixed_point import STATE_MAX, wrap_activation
from .program import Synapse

FLOAT32_EXACT = 1 << 24
FLOAT64_EXACT = 1 << 53
SHORT_EXACT = 1 << 8
"""Integers up to here are exact in bfloat16, TF32 and float16."""


def activation_bound(synapse: Synapse, *, peak: int) -> int:
    """Greatest |activation| that a synapse can cause with inputs up to `peak` in size."""
    weight = np.abs(synapse.weight.astype(np.int64))
    total = int(weight.reshape(weight.shape[0], -1).sum(axis=1).max(initial=0)) * peak
    return -(-total >> synapse.shift)  # rounding down makes a negative sum larger


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


class Kernel:
    """One synapse, ready to be applied to batches of spikes.

    Args:
        synapse: The synapse; its delay is the caller's business.
        weight: Its weights, or the part of them that shares one delay.
        peak: Greatest size of an input value.
        dtype: A float type that sums exactly (`exact_dtype`).
        device: Where to compute.
    """

    def __init__(
        self,
        synapse: Synapse,
        weight: Int[np.ndarray, "..."],
        *,
        peak: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.synapse = synapse
        self.weight = torch.from_numpy(weight.astype(np.float64)).to(device, dtype)
        self._geometry: dict[str, Any] = {
            "stride": synapse.stride,
            "padding": synapse.padding,
            "dilation": synapse.dilation,
            "groups": synapse.groups,
        }
        self.can_wrap = activation_bound(synapse, peak=peak) >= _wrap_limit(synapse)

    def __call__(self, x: Float[Tensor, "B *source"]) -> Float[Tensor, "B *target"]:
        """Weighted sums of `x`, integers held in floats. Differentiable in `x`."""
        x = x.to(self.weight.dtype)
        if self.synapse.is_conv:
            return self._wrapped(self._conv(x), wrap_activation)
        sums = self._wrapped(F.linear(x.flatten(1), self.weight), lambda sums: sums)
        return straight_through(sums / 2**self.synapse.shift, torch.floor)

    def adjoint(self, grad: Float[Tensor, "B *target"], shape: torch.Size) -> Tensor:
        """Gradient with respect to an input of this shape."""
        grad, synapse = grad.to(self.weight.dtype), self.synapse
        if not synapse.is_conv:
            return (grad @ self.weight / 2**synapse.shift).reshape(shape)
        return conv2d_input(shape, self.weight, grad, **self._geometry)

    def _conv(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, **self._geometry)

    def _wrapped(self, sums: Tensor, rule: Callable[[Tensor], Tensor]) -> Tensor:
        if not self.can_wrap:
            return sums
        return straight_through(sums, lambda x: rule(x.to(torch.int64).to(torch.int32)).to(x.dtype))


def _wrap_limit(synapse: Synapse) -> int:
    """Least activation at which Lava wraps a sum, and it matters that it does so right there.

    A dense sum is an int32: only before a shift does that differ from wrapping later. With delays
    Lava sums in int64 and wraps behind the shift.
    """
    if synapse.is_conv:
        return STATE_MAX
    is_delayed = not isinstance(synapse.delay, int) or synapse.delay > 0
    return FLOAT64_EXACT if is_delayed else (1 << 31) >> synapse.shift


def straight_through(x: Tensor, rule: Callable[[Tensor], Tensor]) -> Tensor:
    """`rule(x)` forward, the identity backward; exact since both are dyadic and bounded."""
    if not x.requires_grad:
        return rule(x)
    return x + (rule(x.detach()) - x.detach())


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
