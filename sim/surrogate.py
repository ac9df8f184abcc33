"""Spike derivatives of the surrogate family: a shape φ(z), and backpropagation through time.

z = h/θ − 1 is how far the membrane h stood from its threshold θ, in units of θ; φ(z) estimates
ds/dz, so ds/dh = φ(z)/θ. Exact definitions of the shapes: Liu et al. 2024 (ICML), Eqs. 33-35, as
their published code computes them (the printed Eqs. 33 and 34 differ from it).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from .through_time import StepBack, through_time

Shape = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Triangle:
    """φ = max(0, γ − |z|) / γ². Esser et al. 2016; Liu et al. 2024, Eq. 33, γ = 1."""

    width: float = 1.0

    def __call__(self, z: Tensor) -> Tensor:
        """Slope at `z`."""
        slope = z.abs().neg_().add_(self.width).clamp_min_(0.0)
        return slope if self.width == 1.0 else slope.div_(self.width**2)


@dataclass(frozen=True)
class Sigmoid:
    """φ = γ·σ(γz)·(1 − σ(γz)). Liu et al. 2024, Eq. 34 (which prints σ itself), γ = 4."""

    width: float = 4.0

    def __call__(self, z: Tensor) -> Tensor:
        """Slope at `z`."""
        rate = torch.sigmoid(self.width * z)
        return self.width * rate * (1.0 - rate)


@dataclass(frozen=True)
class ArcTangent:
    """φ = (γ/2) / (1 + (πγz/2)²). Liu et al. 2024, Eq. 35, γ = 2."""

    width: float = 2.0

    def __call__(self, z: Tensor) -> Tensor:
        """Slope at `z`."""
        return (self.width / 2) / (1.0 + (torch.pi * self.width / 2 * z).square())


@dataclass(frozen=True, kw_only=True)
class Surrogate:
    """Spatio-temporal backpropagation (Wu et al. 2018) with the spike's slope replaced by φ.

        a_t = g_t·φ(z_t)/θ + b_t·[(1 − s_t) − h_t·φ(z_t)/θ],  ∂L/∂x_t = a_t,  b_{t−1} = λ·a_t

    `reset="attached"` is the formula above: the reset v = h·(1 − s) is differentiated too, as in
    Norse and in the code of Liu et al. 2024. `"detached"` drops the term h·φ/θ.
    """

    name: str
    shape: Shape
    reset: Literal["attached", "detached"] = "attached"

    def backward(
        self,
        grad: Float[Tensor, "T *axes"],
        h: Float[Tensor, "T *axes"],
        *,
        theta: float | Tensor,
        decay: float | Tensor,
    ) -> Float[Tensor, "T *axes"]:
        """Gradient with respect to the neuron's input.

        Args:
            grad: Gradient with respect to the spikes.
            h: Membrane before the reset, same axes.
            theta: Threshold, in the unit of `h`; a number or per neuron.
            decay: λ of v ← λ·v + x.

        Returns:
            Gradient with respect to x, same axes.
        """
        return through_time(self.unroll(h, theta=theta, decay=decay), grad, h)

    def unroll(
        self, h: Float[Tensor, "T *axes"], *, theta: float | Tensor, decay: float | Tensor
    ) -> StepBack:
        """The same step by step; arguments as `backward`."""
        carried, kept = torch.zeros_like(h[0]), torch.empty_like(h[0])
        # A number's reciprocal goes into passes over memory that are made anyway.
        over = 1.0 / theta if isinstance(theta, float) else 1.0

        def step(t: int, grad: Tensor, out: Tensor) -> None:
            nonlocal carried
            slope = self.shape(_height(h[t], theta))
            slope = slope if isinstance(theta, float) else slope / theta
            torch.le(h[t], theta, out=kept)  # 0.0 and 1.0: ten times faster than booleans
            if self.reset == "attached":
                kept.addcmul_(h[t], slope, value=-over)
            torch.mul(carried, kept, out=out).addcmul_(grad, slope, value=over)
            carried = out if isinstance(decay, float) and decay == 1.0 else out * decay

        return step


def _height(h: Tensor, theta: float | Tensor) -> Tensor:
    """z = h/θ − 1, in one pass where θ is a number."""
    if not isinstance(theta, float):
        return h / theta - 1.0
    below = torch.full((), -1.0, dtype=h.dtype, device=h.device)
    return h - 1.0 if theta == 1.0 else torch.add(below, h, alpha=1.0 / theta)
