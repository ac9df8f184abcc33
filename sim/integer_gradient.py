"""Gradients of integer neurons: those of the de-quantised neuron, through a chosen estimator."""

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.errors import RangeError
from .estimators import Estimator
from .integer_neuron import UNIT, Registers
from .program import DECAY_UNITY, Population
from .through_time import StepBack, through_time
from .whole_train import WholeTrain


@dataclass(frozen=True)
class Past:
    """What a gradient has to know of a run; spikes are left out, which would hold on to it."""

    population: Population
    level: Tensor
    windows: list[slice]

    @classmethod
    def of(cls, registers: Registers, population: Population) -> "Past":
        """That of one population."""
        return cls(population, registers.level, registers.windows)


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
    check_threshold(population)
    out: Tensor = _Fire.apply(activation, registers, population, estimator)  # type: ignore[assignment]
    return out


def check_threshold(population: Population) -> None:
    """Raises a RangeError where a spike has no derivative."""
    if population.vth <= 0 and not population.is_relay:
        raise RangeError(
            f"expected a threshold above 0 to differentiate population {population.name!r}, got "
            f"{population.vth}; a surrogate gradient has no width there"
        )


def membrane(
    activation: Float[Tensor, "t *axes"], registers: Registers, population: Population
) -> Float[Tensor, "*axes"]:
    """v after the last step in units of 64, differentiable as if it had not spiked."""
    keep, last = _keep(population.dv), registers.windows[-1]
    shares = [0.0] * last.start + [keep**age for age in reversed(range(last.stop - last.start))]
    value = _in_activations(registers.level[-1].masked_fill(registers.spikes[-1] > 0, 0))
    return _read(value, activation, registers, population, shares)


def summed(
    activation: Float[Tensor, "t *axes"], registers: Registers, population: Population
) -> Float[Tensor, "*axes"]:
    """v after each step added up, in units of 64, differentiable: a read-out that never spikes."""
    keep, steps = _keep(population.dv), len(registers.level)
    total = (registers.v.to(torch.int64).sum(0) / UNIT).to(torch.float32)
    # what arrives at a step is still there, in part, at each later one
    shares = list(accumulate(keep**age for age in range(steps)))[::-1]
    return _read(total, activation, registers, population, shares)


def _read(
    value: Tensor,
    activation: Tensor,
    registers: Registers,
    population: Population,
    shares: list[float],
) -> Tensor:
    past = Past.of(registers, population)
    out: Tensor = _Read.apply(activation, value, past, shares)  # type: ignore[assignment]
    return out


def unroll(past: Past, estimator: Estimator) -> StepBack:
    """From the gradient with respect to spikes to that with respect to the activation.

    In units of one activation, so that a width means what it means on the float network.
    """
    population, windows = past.population, past.windows
    if population.is_relay:
        return _copy
    level = _in_activations(past.level)
    theta, decay = float(population.vth), _keep(population.dv)
    steps = [estimator.unroll(level[w], theta=theta, decay=decay) for w in windows]
    into_u = _unroll_current(past)
    # Backpropagation through v goes on from its own gradient, which that through u would overwrite.
    into_v = torch.empty_like(level[0]) if _keep(population.du) else None

    def step(t: int, grad: Tensor, out: Tensor) -> None:
        number = next(n for n, w in enumerate(windows) if w.start <= t < w.stop)
        onto_v = out if into_v is None else into_v
        steps[number](t - windows[number].start, grad, onto_v)
        into_u(t, onto_v, out)

    return step


def _backward(past: Past, estimator: Estimator, grad: Tensor) -> Tensor:
    """All steps of `unroll`; window by window where an estimator has to see each as a whole."""
    if past.population.is_relay or not isinstance(estimator, WholeTrain):
        return through_time(unroll(past, estimator), grad, out=torch.empty_like(grad))
    level, found = _in_activations(past.level), torch.empty_like(grad)
    theta, decay = float(past.population.vth), _keep(past.population.dv)
    for window in past.windows:
        found[window] = estimator.backward(grad[window], level[window], theta=theta, decay=decay)
    return through_time(_unroll_current(past), found, out=torch.empty_like(found))


def _copy(t: int, grad: Tensor, out: Tensor) -> None:
    del t
    out.copy_(grad)


def _keep(rate: int) -> float:
    return 1.0 - rate / DECAY_UNITY


def _in_activations(registers: Tensor) -> Tensor:
    """Registers in units of one activation, float32."""
    if registers.is_floating_point():
        return registers
    return registers.to(torch.float32) / UNIT


def _unroll_current(past: Past) -> StepBack:
    """From the gradient with respect to what v receives to that with respect to the activation."""
    keep, ends = _keep(past.population.du), {w.stop - 1 for w in past.windows}
    carried: Tensor | None = None

    def step(t: int, grad: Tensor, out: Tensor) -> None:
        nonlocal carried
        if keep and carried is not None and t not in ends:
            torch.add(grad, carried, alpha=keep, out=out)
        elif out is not grad:
            out.copy_(grad)
        carried = out

    return step


def as_given(grad: Tensor, shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """Gradient of an activation that stood for every step is the sum over the steps."""
    return (grad.sum(0, keepdim=True) if shape[0] == 1 else grad).to(dtype)


def _laid_out(grad: Tensor, like: Tensor) -> Tensor:
    """In the layout of another train: elements taken from two layouts cost ten times as much."""
    if grad.stride() == like.stride():
        return grad
    return torch.empty_like(like, dtype=grad.dtype).copy_(grad)


class _Fire(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        activation: Tensor,
        registers: Registers,
        population: Population,
        estimator: Estimator,
    ) -> Tensor:
        ctx.past, ctx.estimator = Past.of(registers, population), estimator
        ctx.given = activation.shape, activation.dtype
        return registers.spikes

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        grad = _laid_out(grads[0], ctx.past.level)
        grad = _backward(ctx.past, ctx.estimator, grad)
        return as_given(grad, *ctx.given), None, None, None


class _Read(torch.autograd.Function):
    """A reading of v, to which the current of each step adds its share."""

    @staticmethod
    def forward(
        ctx: Any, activation: Tensor, value: Tensor, past: Past, shares: list[float]
    ) -> Tensor:
        ctx.past, ctx.shares = past, shares
        ctx.given = activation.shape, activation.dtype
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        grad = torch.stack([grads[0] * share for share in ctx.shares])
        grad = through_time(_unroll_current(ctx.past), grad, out=grad)
        return as_given(grad, *ctx.given), None, None, None
