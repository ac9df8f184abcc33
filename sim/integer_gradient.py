"""Gradients of integer neurons: those of the de-quantised neuron, through a chosen estimator."""

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..core.errors import RangeError
from .gradients.estimators import Estimator
from .gradients.through_time import StepBack, through_time
from .gradients.whole_train import WholeTrain
from .integer_neuron import UNIT, Registers
from .per_neuron import PerNeuron, on_device
from .program import DECAY_UNITY, Population

Factor = float | Tensor
"""One for a population, or float32 for each of its neurons."""


@dataclass(frozen=True)
class Past:
    """What a gradient has to know of a run; spikes are left out, which would hold on to it.

    Args:
        population: Whose past it is.
        stored_h: v before the spikes reset it, as `Registers` keeps it.
        windows: Steps between one reset and the next.
    """

    population: Population
    stored_h: Tensor
    windows: list[slice]

    @classmethod
    def of(cls, registers: Registers, population: Population) -> "Past":
        """That of one population."""
        return cls(population, registers.stored_h, registers.windows)

    @property
    def h(self) -> Float[Tensor, "T *axes"]:
        """v before the spikes reset it, in activations."""
        return _in_activations(self.stored_h)

    @property
    def theta(self) -> Factor:
        """Threshold, in activations."""
        return _factor(self.population.vth, self.stored_h.device)

    @property
    def kept_u(self) -> Factor:
        """What of u is left a step later."""
        return _kept(self.population.du, self.stored_h.device)

    @property
    def kept_v(self) -> Factor:
        """What of v is left a step later."""
        return _kept(self.population.dv, self.stored_h.device)


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
    least = int(np.min(population.vth))
    if least <= 0 and not population.is_relay:
        raise RangeError(
            f"expected thresholds above 0 to differentiate population {population.name!r}, got "
            f"{least}; a surrogate gradient has no width there"
        )


def membrane(
    activation: Float[Tensor, "t *axes"], registers: Registers, population: Population
) -> Float[Tensor, "*axes"]:
    """v after the last step in units of 64, differentiable as if it had not spiked."""
    past, last = Past.of(registers, population), registers.windows[-1]
    ages = reversed(range(last.stop - last.start))
    shares = [*(0.0 for _ in range(last.start)), *(past.kept_v**age for age in ages)]
    value = _in_activations(registers.stored_h[-1].masked_fill(registers.spikes[-1] > 0, 0))
    return _read(value, activation, past, shares)


def summed(
    activation: Float[Tensor, "t *axes"], registers: Registers, population: Population
) -> Float[Tensor, "*axes"]:
    """v after each step added up, in units of 64, differentiable: a read-out that never spikes."""
    past = Past.of(registers, population)
    total = (registers.v.to(torch.int64).sum(0) / UNIT).to(torch.float32)
    # what arrives at a step is still there, in part, at each later one
    kept = (past.kept_v**age for age in range(len(registers.stored_h)))
    return _read(total, activation, past, list(accumulate(kept))[::-1])


def _read(value: Tensor, activation: Tensor, past: Past, shares: list[Factor]) -> Tensor:
    out: Tensor = _Read.apply(activation, value, past, shares)  # type: ignore[assignment]
    return out


def unroll(past: Past, estimator: Estimator) -> StepBack:
    """From the gradient with respect to spikes to that with respect to the activation.

    In units of one activation, so that a width means what it means on the float network.
    """
    if past.population.is_relay:
        return _copy
    h, windows = past.h, past.windows
    steps = [estimator.unroll(h[w], theta=past.theta, decay=past.kept_v) for w in windows]
    into_u = unroll_current(past)
    # Backpropagation through v goes on from its own gradient, which that through u would overwrite.
    into_v = torch.empty_like(h[0]) if _is_kept(past.kept_u) else None

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
    h, found = past.h, torch.empty_like(grad)
    for w in past.windows:
        found[w] = estimator.backward(grad[w], h[w], theta=past.theta, decay=past.kept_v)
    return through_time(unroll_current(past), found, out=torch.empty_like(found))


def _copy(t: int, grad: Tensor, out: Tensor) -> None:
    del t
    out.copy_(grad)


def _factor(value: PerNeuron, device: torch.device) -> Factor:
    found = on_device(value, device)
    return found.to(torch.float32) if isinstance(found, Tensor) else float(found)


def _kept(rate: PerNeuron, device: torch.device) -> Factor:
    return 1.0 - _factor(rate, device) / DECAY_UNITY


def _is_kept(factor: Factor) -> bool:
    return isinstance(factor, Tensor) or factor != 0.0


def _in_activations(stored: Tensor) -> Tensor:
    """In float32, from registers where they are stored."""
    return stored if stored.is_floating_point() else stored.to(torch.float32) / UNIT


def unroll_current(past: Past) -> StepBack:
    """From the gradient with respect to what v receives to that with respect to the activation."""
    kept, ends = past.kept_u, {w.stop - 1 for w in past.windows}
    carried: Tensor | None = None

    def step(t: int, grad: Tensor, out: Tensor) -> None:
        nonlocal carried
        if _is_kept(kept) and carried is not None and t not in ends:
            _add_share(grad, carried, kept, out=out)
        elif out is not grad:
            out.copy_(grad)
        carried = out

    return step


def _add_share(grad: Tensor, carried: Tensor, kept: Factor, *, out: Tensor) -> None:
    if isinstance(kept, Tensor):
        torch.addcmul(grad, carried, kept, out=out)
    else:
        torch.add(grad, carried, alpha=kept, out=out)


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
        grad = _laid_out(grads[0], ctx.past.stored_h)
        grad = _backward(ctx.past, ctx.estimator, grad)
        return as_given(grad, *ctx.given), None, None, None


class _Read(torch.autograd.Function):
    """A reading of v, to which the current of each step adds its share."""

    @staticmethod
    def forward(
        ctx: Any, activation: Tensor, value: Tensor, past: Past, shares: list[Factor]
    ) -> Tensor:
        ctx.past, ctx.shares = past, shares
        ctx.given = activation.shape, activation.dtype
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        grad = torch.stack([grads[0] * share for share in ctx.shares])
        grad = through_time(unroll_current(ctx.past), grad, out=grad)
        return as_given(grad, *ctx.given), None, None, None
