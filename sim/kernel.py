"""A synapse as a linear map on batches of spikes: exact sums, and Lava's overflow (`wrapping`).

Which arithmetic is used follows from the bound on its sums (`exact_sums`). Convolutions go in
parts that float32 sums exactly (`float_parts`), dense synapses in float64 where float32 is too
short; spikes under int8 weights go in bytes where a self-test allows it (`byte_conv`).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.grad import conv2d_input, conv2d_weight

from .byte_conv import BYTE, ByteConv, fits, missing_reason
from .exact_sums import activation_bound
from .float_parts import Part, split
from .program import Synapse
from .wrapping import wrapping


class Kernel:
    """One synapse, ready to be applied to batches of spikes.

    Args:
        synapse: The synapse; its delay is the caller's business.
        weight: Its weights, or the part of them that shares one delay.
        low, high: Least and greatest value of an input.
        dtype: A float type that holds every sum (`exact_dtype`).
        device: Where to compute.
        learnt: The same weights as a tensor that gradients reach; None for plain numbers.
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
        learnt: Tensor | None = None,
    ) -> None:
        self.synapse = synapse
        plain = torch.from_numpy(weight.astype(np.float64)) if learnt is None else learnt
        self.weight = plain.to(device, dtype)
        self._geometry = synapse.geometry
        self.wrapping = wrapping(
            synapse,
            activation=activation_bound(synapse, low=low, high=high),
            product=max(-low, high) * int(np.abs(weight.astype(np.int64)).max(initial=0)),
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
        """Weighted sums, integers held in floats; differentiable in `x` and in learnt weights."""
        x = x.to(torch.float32 if self._parts else self.weight.dtype)
        if self.synapse.is_conv:
            return self._wrapped(self._conv(x), x)
        flat = x.flatten(1)
        sums = self._wrapped(F.linear(flat, self.weight), flat)
        return straight_through(sums / 2**self.synapse.shift, torch.floor)

    def adjoint(self, grad: Float[Tensor, "B *target"], shape: torch.Size) -> Tensor:
        """Gradient with respect to an input of this shape."""
        if self.synapse.is_conv:
            # A gradient need not be exact: float32 is five times as fast.
            return conv2d_input(shape, self.weight.float(), grad.float(), **self._geometry)
        return (grad.to(self.weight.dtype) @ self.weight / 2**self.synapse.shift).reshape(shape)

    def weight_gradient(
        self, grad: Float[Tensor, "B O h w"], x: Float[Tensor, "B I H W"]
    ) -> Float[Tensor, "O I kH kW"]:
        """Gradient of a convolution with respect to its weights."""
        shape = self.weight.shape
        found: Tensor = conv2d_weight(x.float(), shape, grad.float(), **self._geometry)
        return found

    def _conv(self, x: Tensor) -> Tensor:
        in_bytes = self._bytes is not None and self._bytes.pays(x)
        if not in_bytes and not self._parts:
            return F.conv2d(x, self.weight, **self._geometry)
        if not (x.requires_grad or self.weight.requires_grad):
            return self._fast(x)
        sums: Tensor = _Fast.apply(x, self.weight, self)  # type: ignore[assignment]
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
        weight = self.weight.detach()
        if not fits(weight, dilation=synapse.dilation, groups=synapse.groups):
            return None
        if missing_reason():
            return None
        return ByteConv(weight, stride=synapse.stride, padding=synapse.padding)

    def _wrapped(self, sums: Tensor, x: Tensor) -> Tensor:
        if self.wrapping is None:
            return sums
        rule, entered, weight = self.wrapping.rule, x.detach(), self.weight.detach()
        return straight_through(sums, lambda s: rule(s.long(), entered, weight).to(s.dtype))


class _Fast(torch.autograd.Function):
    """Forward by whatever is fast and exact; backward as that of the same convolution in floats."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, kernel: Kernel) -> Tensor:
        ctx.kernel, ctx.shape, ctx.dtypes = kernel, x.shape, (x.dtype, weight.dtype)
        ctx.save_for_backward(*((x,) if ctx.needs_input_grad[1] else ()))
        return kernel._fast(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # type: ignore[override]
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = ctx.kernel.adjoint(grads[0], ctx.shape).to(ctx.dtypes[0])
        if ctx.needs_input_grad[1]:
            of_weight = ctx.kernel.weight_gradient(grads[0], *ctx.saved_tensors)
            of_weight = of_weight.to(ctx.dtypes[1])
        return of_x, of_weight, None


def straight_through(x: Tensor, rule: Callable[[Tensor], Tensor]) -> Tensor:
    """`rule(x)` forward, the identity backward; exact since both are dyadic and bounded."""
    if not x.requires_grad:
        return rule(x)
    return x + (rule(x.detach()) - x.detach())
