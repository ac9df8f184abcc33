"""Spike derivatives of the surrogate family: a shape φ(z), and backpropagation through time.

z = h/θ − 1 is how far the membrane h stood from its threshold θ, in units of θ; φ(z) estimates
ds/dz, so ds/dh = φ(z)/θ. Exact definitions of the shapes: Liu et al. 2024 (ICML), Eqs. 33-35, as
their published code computes them (the printed Eqs. 33 and 34 differ from it).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from .through_time import StepBack, StepByStep


@runtime_checkable
class Shape(Protocol):
    """φ, the slope of a spike."""

    def __call__(self, z: Tensor, *, out: Tensor | None = None) -> Tensor:
        """Slope at `z`, in the memory of `out` (which may be `z`) or in new memory."""
        ...


@dataclass(frozen=True)
class Triangle:
    """φ = max(0, γ − |z|) / γ². Esser et al. 2016; Liu et al. 2024, Eq. 33, γ = 1."""

    width: float = 1.0

    def __call__(self, z: Tensor, *, out: Tensor | None = None) -> Tensor:
        """As `Shape`."""
        slope = torch.abs(z, out=out)
        torch.sub(slope.new_full((), self.width), slope, out=slope).relu_()
        return slope if self.width == 1.0 else slope.div_(self.width**2)


@dataclass(frozen=True)
class Sigmoid:
    """φ = γ·σ(γz)·(1 − σ(γz)). Liu et al. 2024, Eq. 34 (which prints σ itself), γ = 4."""

    width: float = 4.0

    def __call__(self, z: Tensor, *, out: Tensor | None = None) -> Tensor:
        """As `Shape`."""
        rate = torch.mul(z, self.width, out=out).sigmoid_()
        return rate.mul_(1.0 - rate).mul_(self.width)


@dataclass(frozen=True)
class ArcTangent:
    """φ = (γ/2) / (1 + (πγz/2)²). Liu et al. 2024, Eq. 35, γ = 2."""

    width: float = 2.0

    def __call__(self, z: Tensor, *, out: Tensor | None = None) -> Tensor:
        """As `Shape`."""
        angle = torch.mul(z, torch.pi * self.width / 2, out=out)
        return angle.square_().add_(1.0).reciprocal_().mul_(self.width / 2)


@dataclass(frozen=True, kw_only=True)
class Surrogate(StepByStep):
    """Spatio-temporal backpropagation (Wu et al. 2018) with the spike's slope replaced by φ.

        a_t = g_t·φ(z_t)/θ + b_t·[(1 − s_t) − h_t·φ(z_t)/θ],  ∂L/∂x_t = a_t,  b_{t−1} = λ·a_t

    `reset="attached"` is the formula above: the reset v = h·(1 − s) is differentiated too, as in
    Norse and in the code of Liu et al. 2024. `"detached"` drops the term h·φ/θ.
    """

    name: str
    shape: Shape
    reset: Literal["attached", "detached"] = "attached"

    def unroll(
        self, h: Float[Tensor, "T *axes"], *, theta: float | Tensor, decay: float | Tensor
    ) -> StepBack:
        """The same step by step; arguments as `backward`."""
        carried: Tensor | None = None
        slope_of, factor = _slope(self.shape, theta, like=h[0])
        is_whole = isinstance(decay, float) and decay == 1.0
        kept, leaked = torch.empty_like(h[0]), None if is_whole else torch.empty_like(h[0])
        levels = h.unbind(0)

        def step(t: int, grad: Tensor, out: Tensor) -> None:
            nonlocal carried
            level = levels[t]
            slope = slope_of(level)
            if carried is None:
                torch.mul(grad, slope, out=out)
                out = out if factor == 1.0 else out.mul_(factor)
            else:
                torch.le(level, theta, out=kept)  # 0.0 and 1.0: ten times faster than booleans
                if self.reset == "attached":
                    kept.addcmul_(level, slope, value=-factor)
                torch.mul(carried, kept, out=out).addcmul_(grad, slope, value=factor)
            carried = out if is_whole else torch.mul(out, decay, out=leaked)

        return step


def _slope(
    shape: Shape, theta: float | Tensor, *, like: Tensor
) -> tuple[Callable[[Tensor], Tensor], float]:
    """ds/dh = φ(h/θ − 1)/θ as a function of h, up to a factor that costs no pass over memory.

    The function answers in one place each time.
    """
    room = torch.empty_like(like)
    if not isinstance(theta, float):
        return lambda h: shape(torch.div(h, theta, out=room).sub_(1.0), out=room).div_(theta), 1.0
    if shape == Triangle(1.0):
        # 1 − |h/θ − 1| = min(h, 2θ − h)/θ, an operation less.
        end = like.new_full((), 2.0 * theta)
        return lambda h: torch.minimum(torch.sub(end, h, out=room), h, out=room).relu_(), theta**-2
    below = like.new_full((), -1.0)
    return lambda h: shape(torch.add(below, h, alpha=1.0 / theta, out=room), out=room), 1.0 / theta
