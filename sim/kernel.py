"""Exact integer sums with floating-point convolutions: a bound is checked, never assumed.

A float32 sum of integers is exact, in any order, while all positive products of each output add up
to less than 2²⁴ and so do the negative ones (float64: 2⁵³), since then every partial sum is an
integer that the format holds. Weights and inputs
beyond 2⁸ go another way too: short cuts that may be switched on at any time (TF32, bfloat16
products) round them, and leave float64 alone. Convolutions go in parts that are exact each, dense
synapses in float64; spikes under int8 weights go in bytes where a self-test allows it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.grad import conv2d_input

from ..core.errors import RangeError
from .byte_conv import BYTE, ByteConv, fits, missing_reason
from .fixed_point import INT32, STATE_MAX, convolved_activation, dense_activation
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
    """
    weight = synapse.weight.astype(np.int64).reshape(len(synapse.weight), -1)
    up, down = np.maximum(weight, 0).sum(axis=1), np.minimum(weight, 0).sum(axis=1)
    low, high = min(low, 0), max(high, 0)
    return np.maximum(up * high + down * low, -(up * low + down * high))


def activation_bound(synapse: Synapse, *, low: int, high: int) -> int:
    """Greatest |activation| that a synapse can cause with inputs in `low..high`."""
    total = int(channel_bounds(synapse, low=low, high=high).max(initial=0))
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
        low, high: Least and greatest value of an input.
        dtype: A float type that holds every sum (`exact_dtype`).
        device: Where to compute.
    """

    def __init__(
        self,
        synapse: Synapse,
        weight: Int[np.ndarray, "..."],
        *,
        low: int,
        high: int,
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
        self.can_wrap = activation_bound(synapse, low=low, high=high) >= _wrap_limit(synapse)
        # With delays Lava sums products of 32 bits in 64.
        largest = max(-low, high) * int(np.abs(weight.astype(np.int64)).max(initial=0))
        self._wraps_products = (
            not synapse.is_conv and synapse.is_delayed and synapse.shift > 0 and largest >= INT32
        )
        self._bytes: ByteConv | None = None
        self._parts: list[Part] = []
        if synapse.is_conv and dtype == torch.float64:
            peak = max(-low, high)
            self._parts = split(weight, peak=peak, groups=synapse.groups, device=device)
        elif synapse.is_conv and low >= 0 and high <= BYTE:
            self._bytes = self._packed()

    @property
    def arithmetic(self) -> str:
        """What computes the sums: bytes, float32, float32 in parts, or float64."""
        if self._bytes is not None:
            return "bytes"
        if self._parts:
            return f"float32 in {len(self._parts)} parts"
        return str(self.weight.dtype).removeprefix("torch.")

    def __call__(self, x: Float[Tensor, "B *source"]) -> Float[Tensor, "B *target"]:
        """Weighted sums of `x`, integers held in floats. Differentiable in `x`."""
        x = x.to(torch.float32 if self._parts else self.weight.dtype)
        if self.synapse.is_conv:
            return self._wrapped(self._conv(x), convolved_activation)
        sums = self._dense(x.flatten(1))
        return straight_through(sums / 2**self.synapse.shift, torch.floor)

    def adjoint(self, grad: Float[Tensor, "B *target"], shape: torch.Size) -> Tensor:
        """Gradient with respect to an input of this shape."""
        if self.synapse.is_conv:
            # A gradient need not be exact: float32 is five times as fast.
            return conv2d_input(shape, self.weight.float(), grad.float(), **self._geometry)
        return (grad.to(self.weight.dtype) @ self.weight / 2**self.synapse.shift).reshape(shape)

    def _dense(self, x: Tensor) -> Tensor:
        sums = F.linear(x, self.weight)
        if self._wraps_products:
            return straight_through(sums, lambda _: self._wrapped_products(x))
        return self._wrapped(sums, dense_activation)

    def _wrapped_products(self, x: Tensor) -> Tensor:
        """Sums of products, each of which wraps in 32 bits."""
        whole = x.detach().to(torch.int64)
        products = ((whole * row).to(torch.int32) for row in self.weight.to(torch.int64))
        return torch.stack([p.sum(1, dtype=torch.int64) for p in products], dim=1).to(x.dtype)

    def _conv(self, x: Tensor) -> Tensor:
        in_bytes = self._bytes is not None and self._bytes.pays(x)
        if not in_bytes and not self._parts:
            return F.conv2d(x, self.weight, **self._geometry)
        if not x.requires_grad:
            return self._fast(x)
        sums: Tensor = _Fast.apply(x, self)  # type: ignore[assignment]
        return sums

    def _fast(self, x: Tensor) -> Tensor:
        if self._bytes is not None:
            return self._bytes(x)
        first, *others = self._parts
        sums = F.conv2d(x, first.weight, **self._geometry).to(self.weight.dtype)
        for part in others:
            found = F.conv2d(x, part.weight, **self._geometry).to(sums.dtype)
            sums[:, part.channels] += found * part.scale
        return sums

    def _packed(self) -> ByteConv | None:
        """The convolution in bytes, where it is exact on this machine."""
        synapse = self.synapse
        if not fits(self.weight, dilation=synapse.dilation, groups=synapse.groups):
            return None
        if missing_reason():
            return None
        return ByteConv(self.weight, stride=synapse.stride, padding=synapse.padding)

    def _wrapped(self, sums: Tensor, rule: Callable[[Tensor], Tensor]) -> Tensor:
        if not self.can_wrap:
            return sums
        return straight_through(sums, lambda x: rule(x.to(torch.int64)).to(x.dtype))


class _Fast(torch.autograd.Function):
    """Forward by whatever is fast and exact; backward as that of the same convolution in floats."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Kernel) -> Tensor:
        ctx.kernel, ctx.shape, ctx.dtype = kernel, x.shape, x.dtype
        return kernel._fast(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return ctx.kernel.adjoint(grads[0], ctx.shape).to(ctx.dtype), None


@dataclass(frozen=True)
class Part:
    """A share of a convolution's weights: the whole is the sum of `scale` times each part.

    Args:
        weight: Weights whose sums float32 holds exactly.
        scale: A power of two.
        channels: Which output channels it adds to.
    """

    weight: Tensor
    scale: int
    channels: Tensor | slice


def split(
    weight: Int[np.ndarray, "O I kH kW"], *, peak: int, groups: int, device: torch.device
) -> list[Part]:
    """Weights w = low + 2ᵇ·high, so that float32 sums low and high exactly; none if it cannot.

    Two float32 convolutions take less than half the time of one in float64. Only those output
    channels are split whose sums need it.
    """
    w = weight.astype(np.int64)
    for bits in range(8, 0, -1):
        half = 1 << (bits - 1)
        low = np.where(_exact_rows(w, peak), w, ((w + half) & (2 * half - 1)) - half)
        high = (w - low) >> bits
        if _exact_rows(low, peak).all() and _exact_rows(high, peak).all():
            break
    else:
        return []
    rows = np.flatnonzero(high.reshape(len(high), -1).any(axis=1))
    # Groups go by the place of a channel, so none may be left out.
    channels = torch.from_numpy(rows).to(device) if groups == 1 else slice(None)
    kept = high[rows] if groups == 1 else high
    first, second = (torch.from_numpy(part).to(device, torch.float32) for part in (low, kept))
    return [
        Part(first, 1, slice(None)),
        *([Part(second, 1 << bits, channels)] if len(rows) else []),
    ]


def _exact_rows(weight: np.ndarray, peak: int) -> np.ndarray:
    """Whether float32 sums each output channel exactly, whatever its short cuts."""
    size = np.abs(weight).reshape(len(weight), -1)
    short = np.maximum(size.max(axis=1, initial=0), peak) <= SHORT_EXACT
    exact = short & (size.sum(axis=1) * peak < FLOAT32_EXACT)
    return exact.reshape(-1, *(1 for _ in weight.shape[1:]))


def _wrap_limit(synapse: Synapse) -> int:
    """Least activation at which Lava wraps a sum, and it matters that it does so right there.

    A dense sum is an int32: only before a shift does that differ from wrapping later. With delays
    Lava sums in int64 and wraps behind the shift, or each product.
    """
    if synapse.is_conv:
        return STATE_MAX
    return FLOAT64_EXACT if synapse.is_delayed else INT32 >> synapse.shift


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
