"""Integer neurons over time: exact forward, and backward through the de-quantised neuron."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int, Int32
from torch import Tensor

from ..core.errors import RangeError
from .estimators import Estimator
from .fixed_point import STATE_MAX, step
from .program import DECAY_UNITY, STATE_SHIFT, Population

UNIT = 1 << STATE_SHIFT
RAIL = STATE_MAX - 1
PLAIN_BOUND = STATE_MAX // UNIT
"""Below this an activation with its bias neither wraps u nor leaves float32's exact integers."""


@dataclass(frozen=True, kw_only=True)
class Registers:
    """What a population did, time first.

    Args:
        spikes: 0.0 or 1.0.
        drive: u after each step, `level` v before its reset; registers in int32, or 64ths of them
            in float32 (see `simulate`).
        level: As `drive`.
    """

    spikes: Float[Tensor, "T *axes"]
    drive: Tensor
    level: Tensor

    @property
    def u(self) -> Int32[Tensor, "T *axes"]:
        """u after the step."""
        return _register(self.drive.expand(self.level.shape))

    @property
    def h(self) -> Int32[Tensor, "T *axes"]:
        """v before the spike resets it."""
        return _register(self.level)

    @property
    def v(self) -> Int32[Tensor, "T *axes"]:
        """v after the step, as Lava's registers show it."""
        return self.h.masked_fill(self.spikes > 0, 0)


def is_plain(population: Population, *, bound: int) -> bool:
    """Whether floats compute this population to the last bit.

    Without a decay that rounds, registers are sums of integers. While |a + bias| stays below
    2¹⁷, u = 64·a cannot wrap and every sum is an integer multiple of 1/64 below 2¹⁸: float32
    holds it exactly.

    Args:
        population: Its decays.
        bound: Greatest |activation| plus greatest |bias|.
    """
    whole = population.du == DECAY_UNITY and population.dv in (0, DECAY_UNITY)
    return whole and bound < PLAIN_BOUND


def simulate(
    activation: Float[Tensor, "t *axes"],
    population: Population,
    *,
    bias: Int[Tensor, "..."] | None,
    steps: int,
    resets: tuple[bool, ...] = (),
    plain: bool = False,
) -> Registers:
    """Runs a population for `steps` steps from zero state.

    Args:
        activation: Weighted spikes that arrive in each step, whole numbers, time first; a leading
            axis of length 1 stands for the same activation at every step.
        population: Its parameters.
        bias: Bias mantissa, broadcastable to one step.
        steps: T.
        resets: Which steps clear u and v before they integrate; empty for none.
        plain: Whether `is_plain` holds, so that float32 in units of 64 replaces int32.
    """
    run = _simulate_plain if plain else _simulate_registers
    return run(activation.detach(), population, bias, steps, resets)


def _simulate_plain(
    activation: Tensor,
    population: Population,
    bias: Tensor | None,
    steps: int,
    resets: tuple[bool, ...],
) -> Registers:
    """In units of one activation: v ← clip(v + a + bias), spike above vth."""
    shape = (steps, *activation.shape[1:])
    drive = activation.to(torch.float32)
    total = drive if bias is None else drive + bias
    spikes, level = (torch.empty(shape, device=drive.device) for _ in range(2))
    v = torch.zeros(shape[1:], device=drive.device)
    for t in range(steps):
        if (resets and resets[t]) or population.dv:
            v = torch.zeros_like(v)
        h = torch.add(v, total[t if len(total) > 1 else 0], out=level[t])
        h.clamp_(-RAIL / UNIT, RAIL / UNIT)
        # A comparison written as 0.0 and 1.0 is vectorised; masks of booleans cost ten times.
        fired = torch.gt(h, population.vth, out=spikes[t])
        v = torch.addcmul(h, h, fired, value=-1.0)
    return Registers(spikes=spikes, drive=drive, level=level)


def _simulate_registers(
    activation: Tensor,
    population: Population,
    bias: Tensor | None,
    steps: int,
    resets: tuple[bool, ...],
) -> Registers:
    """Lava's int32 arithmetic, operation by operation."""
    shape = (steps, *activation.shape[1:])
    arriving = activation.to(torch.int64).to(torch.int32)
    u = torch.zeros(shape[1:], dtype=torch.int32, device=activation.device)
    v = torch.zeros_like(u)
    drive = torch.empty(shape, dtype=torch.int32, device=activation.device)
    level, spikes = torch.empty_like(drive), torch.empty(shape, device=activation.device)
    for t in range(steps):
        if resets and resets[t]:
            u, v = torch.zeros_like(u), torch.zeros_like(v)
        now = arriving[t if len(arriving) > 1 else 0]
        u, h = step(u, v, now, du=population.du, dv=population.dv, bias=bias)
        fired = h > population.vth << STATE_SHIFT
        drive[t], level[t], spikes[t] = u, h, fired
        v = h.masked_fill(fired, 0)
    return Registers(spikes=spikes, drive=drive, level=level)


def _register(values: Tensor) -> Tensor:
    """64ths back to what the register holds."""
    return (values * UNIT).to(torch.int32) if values.is_floating_point() else values


def _in_activations(registers: Tensor) -> Tensor:
    """Registers in units of one activation, float32."""
    if registers.is_floating_point():
        return registers
    return registers.to(torch.float32) / UNIT


def spikes(
    activation: Float[Tensor, "t *axes"],
    registers: Registers,
    population: Population,
    *,
    estimator: Estimator | None,
) -> Float[Tensor, "T *axes"]:
    """The spikes of a simulated population, differentiable in its activation.

    Raises:
        RangeError: If it is to be differentiated and its threshold is not positive.
    """
    if estimator is None:
        return registers.spikes
    if population.vth <= 0 and not population.is_relay:
        raise RangeError(
            f"expected a threshold above 0 to differentiate population {population.name!r}, got "
            f"{population.vth}; a surrogate gradient has no width there"
        )
    out: Tensor = _Fire.apply(activation, registers, population, estimator)  # type: ignore[assignment]
    return out


def membrane(
    activation: Float[Tensor, "t *axes"], registers: Registers, population: Population
) -> Float[Tensor, "*axes"]:
    """v after the last step in units of 64, differentiable: a read-out that never spikes."""
    out: Tensor = _ReadV.apply(activation, registers, population)  # type: ignore[assignment]
    return out


def summed(
    activation: Float[Tensor, "t *axes"], registers: Registers, population: Population
) -> Float[Tensor, "*axes"]:
    """v added up over the steps, in units of 64, differentiable: a read-out that keeps nothing.

    Raises:
        RangeError: If v carries over from step to step.
    """
    if population.dv != DECAY_UNITY:
        raise RangeError(
            f"expected decay 4096 of v to sum over steps in {population.name!r}, got "
            f"{population.dv}; read the membrane instead"
        )
    out: Tensor = _Sum.apply(activation, registers, population)  # type: ignore[assignment]
    return out


def _keep(rate: int) -> float:
    return 1.0 - rate / DECAY_UNITY


def _through_current(grad: Tensor, population: Population) -> Tensor:
    """Gradient with respect to the activation, from that with respect to u (both in 64ths)."""
    keep = _keep(population.du)
    if keep == 0.0:
        return grad
    out = grad.clone()
    for t in reversed(range(out.shape[0] - 1)):
        out[t] += keep * out[t + 1]
    return out


def _as_given(grad: Tensor, shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """Gradient of an activation that stood for every step is the sum over the steps."""
    return (grad.sum(0, keepdim=True) if shape[0] == 1 else grad).to(dtype)


class _Fire(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        activation: Tensor,
        registers: Registers,
        population: Population,
        estimator: Estimator,
    ) -> Tensor:
        ctx.save_for_backward(registers.level)
        ctx.population, ctx.estimator = population, estimator
        ctx.given = activation.shape, activation.dtype
        return registers.spikes

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        population, (level,) = ctx.population, ctx.saved_tensors
        if population.is_relay:
            return _as_given(grads[0], *ctx.given), None, None, None
        # In units of one activation, so that a width means what it means on the float network.
        grad = ctx.estimator.backward(
            grads[0],
            _in_activations(level),
            theta=float(population.vth),
            decay=_keep(population.dv),
        )
        return _as_given(_through_current(grad, population), *ctx.given), None, None, None


class _ReadV(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, activation: Tensor, registers: Registers, population: Population
    ) -> Tensor:
        ctx.population, ctx.steps = population, registers.level.shape[0]
        ctx.given = activation.shape, activation.dtype
        return _in_activations(registers.level[-1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        keep = _keep(ctx.population.dv)
        weights = [keep ** (ctx.steps - 1 - t) for t in range(ctx.steps)]
        grad = torch.stack([grads[0] * weight for weight in weights])
        return _as_given(_through_current(grad, ctx.population), *ctx.given), None, None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, activation: Tensor, registers: Registers, population: Population
    ) -> Tensor:
        ctx.population, ctx.steps = population, registers.level.shape[0]
        ctx.given = activation.shape, activation.dtype
        return (registers.h.to(torch.int64).sum(0) / UNIT).to(torch.float32)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        grad = grads[0].expand(ctx.steps, *grads[0].shape)
        return _as_given(_through_current(grad, ctx.population), *ctx.given), None, None
