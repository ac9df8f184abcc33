"""The chip's arithmetic: Lava's fixed-point neuron, one step at a time, on int32 tensors.

Matches `lava.proc.lif.models.PyLifModelBitAcc` of lava-nc 0.10.0. Register values are 24 bits held
in int32; where Lava's own int32 sums would wrap, these wrap too.
"""

import torch
from jaxtyping import Int32, Int64
from torch import Tensor

from .program import DECAY_UNITY, INT32, STATE_SHIFT

STATE_MAX = 1 << 23
"""One correction brings u back into −2²³+1..2²³, from wherever it does; v is clipped one below."""
DECAY_BITS = 12


def decay(x: Int32[Tensor, "*axes"], rate: int | Tensor) -> Int32[Tensor, "*axes"]:
    """Decays a register, rounding towards zero.

        x ← sign(p)·(|p| >> 12),  p = x·(2¹² − rate) in int64

    Args:
        x: Register values.
        rate: 0 keeps everything, 4096 forgets everything; beyond, Lava computes on, and so do we.
            A number, or int64 for each neuron.
    """
    if isinstance(rate, int) and rate in (0, DECAY_UNITY):
        return torch.zeros_like(x) if rate else x
    product = x.to(torch.int64) * (DECAY_UNITY - rate)
    return (product.sign() * (product.abs() >> DECAY_BITS)).to(torch.int32)


def wrap(u: Int32[Tensor, "*axes"]) -> Int32[Tensor, "*axes"]:
    """Lava's overflow of u: one correction of 2²⁴, and not a symmetric one.

    +2²³ stays, −2²³ becomes +2²³, and what lies beyond 3·2²³ stays out of range.
    """
    high = torch.where(u > STATE_MAX, u - 2 * STATE_MAX, u)
    return torch.where(high <= -STATE_MAX, u + 2 * STATE_MAX, high)


def step(
    u: Int32[Tensor, "*axes"],
    v: Int32[Tensor, "*axes"],
    activation: Int32[Tensor, "*axes"],
    *,
    du: int | Tensor,
    dv: int | Tensor,
    bias: Int32[Tensor, "..."] | None,
) -> tuple[Int32[Tensor, "*axes"], Int32[Tensor, "*axes"]]:
    """u and v after one step, before the spike resets v.

    Args:
        u: Current after the previous step.
        v: Membrane after the previous step.
        activation: Weighted sum of the spikes that arrive in this step.
        du: Decay of u, as `decay` takes it.
        dv: Decay of v.
        bias: Bias mantissa, broadcastable to the registers.
    """
    u = wrap(decay(u, du) + (activation << STATE_SHIFT))
    v = decay(v, dv) + u
    if bias is not None:
        v = v + (bias << STATE_SHIFT)
    return u, v.clamp(1 - STATE_MAX, STATE_MAX - 1)


def convolved_activation(sums: Int64[Tensor, "*axes"]) -> Int32[Tensor, "*axes"]:
    """A convolution's sums in Lava: taken modulo 2²⁴ into −2²³..2²³ − 1.

    Lava sums in float64 and casts to int32 first. C leaves open what becomes of a number that int32
    does not hold; x86 makes it −2³¹, which the modulo turns into 0.
    """
    held = (sums >= -INT32) & (sums < INT32)
    wrapped = ((sums + STATE_MAX) & (2 * STATE_MAX - 1)) - STATE_MAX
    return torch.where(held, wrapped, 0).to(torch.int32)


def dense_activation(sums: Int64[Tensor, "*axes"]) -> Int32[Tensor, "*axes"]:
    """A dense synapse's sums in Lava, before their shift: taken modulo 2³²."""
    return sums.to(torch.int32)
