"""How far an input drives registers, before u wraps and v is clipped: exact, and differentiable."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from .fixed_point import decay
from .gradients.through_time import through_time
from .integer_gradient import Past, as_given, unroll_current
from .integer_neuron import UNIT, Registers
from .per_neuron import on_device
from .program import STATE_SHIFT, Population
from .twin import Run


@dataclass(frozen=True, kw_only=True)
class Driven:
    """Values of registers at every step, in their least significant bits, as whole float64.

    Args:
        u: decay(u) + (a << 6), before it wraps.
        v: decay(v) + u + (bias << 6), before it is clipped and a spike resets it.
    """

    u: Float[Tensor, "T *axes"]
    v: Float[Tensor, "T *axes"]


def driven(run: Run, population: Population) -> Driven:
    """What one population's registers were driven to in a recorded run.

    Differentiable in what arrives, as the de-quantised neuron whose reset carries no gradient.

    Args:
        run: Recorded, with an estimator where gradients are wanted.
        population: Which.
    """
    activation, registers = run.activations[population.name], run.registers[population.name]
    past, fired = Past.of(registers, population), registers.spikes
    with torch.no_grad():
        u, v = _before(activation, registers, population)
    onto_u: Tensor = _Driven.apply(activation, u.double(), past, None)  # type: ignore[assignment]
    onto_v: Tensor = _Driven.apply(activation, v.double(), past, fired)  # type: ignore[assignment]
    return Driven(u=onto_u, v=onto_v)


def _before(
    activation: Tensor, registers: Registers, population: Population
) -> tuple[Int64[Tensor, "T *axes"], Int64[Tensor, "T *axes"]]:
    """u before it wraps and v before it is clipped, from the registers of the step before."""
    rates = (on_device(rate, activation.device) for rate in (population.du, population.dv))
    u, v = (
        decay(_earlier(register, registers), rate).to(torch.int64)
        for register, rate in zip((registers.u, registers.v), rates, strict=True)
    )
    u = u + (activation.to(torch.int64) << STATE_SHIFT)
    v = v + registers.u
    if population.bias is not None:
        v = v + (on_device(population.bias, activation.device) << STATE_SHIFT)
    return u, v


def _earlier(register: Tensor, registers: Registers) -> Tensor:
    """A register a step before, 0 where a window begins."""
    before = torch.cat([torch.zeros_like(register[:1]), register[:-1]])
    before[[window.start for window in registers.windows]] = 0
    return before


class _Driven(torch.autograd.Function):
    """Of u without spikes, of v with those that reset it."""

    @staticmethod
    def forward(
        ctx: Any, activation: Tensor, value: Tensor, past: Past, fired: Tensor | None
    ) -> Tensor:
        ctx.past, ctx.fired = past, fired
        ctx.given = activation.shape, activation.dtype
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        grad = grads[0].float() * UNIT
        if ctx.fired is not None:
            grad = _through_membrane(grad, ctx.past, ctx.fired)
        grad = through_time(unroll_current(ctx.past), grad, out=torch.empty_like(grad))
        return as_given(grad, *ctx.given), None, None, None


def _through_membrane(grad: Tensor, past: Past, fired: Tensor) -> Tensor:
    """From the gradient onto v to that onto what v receives: b_t = g_t + λ·(1 − s_t)·b_{t+1}."""
    found, kept = grad.clone(), past.kept_v
    for window in past.windows:
        for t in reversed(range(window.start, window.stop - 1)):
            found[t] += kept * (1 - fired[t]) * found[t + 1]
    return found
