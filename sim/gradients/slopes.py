"""Further slopes of a spike: rectangle, exponential, straight-through, Gaussian.

As Özdenizci and Legenstein 2024 (TMLR) put them into their ensemble of attacks; z = h/θ − 1.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rectangle:
    """φ = [|z| < γ/2] / γ. Wu et al. 2018."""

    width: float = 1.0

    def __call__(self, z: Tensor, *, out: Tensor | None = None) -> Tensor:
        """As `surrogate.Shape`."""
        slope = torch.abs(z, out=out)
        return torch.lt(slope, self.width / 2, out=slope).div_(self.width)


@dataclass(frozen=True)
class Exponential:
    """φ = a·exp(−b·|z|). Shrestha and Orchard 2018."""

    height: float = 1.0
    rate: float = 1.0

    def __call__(self, z: Tensor, *, out: Tensor | None = None) -> Tensor:
        """As `surrogate.Shape`."""
        return torch.abs(z, out=out).mul_(-self.rate).exp_().mul_(self.height)


@dataclass(frozen=True)
class StraightThrough:
    """φ = 1. Bengio et al. 2013."""

    def __call__(self, z: Tensor, *, out: Tensor | None = None) -> Tensor:
        """As `surrogate.Shape`."""
        return torch.ones_like(z) if out is None else out.fill_(1.0)


@dataclass(frozen=True)
class Gaussian:
    """φ = N(z; 0, variance 1/γ)."""

    width: float = 1.0

    def __call__(self, z: Tensor, *, out: Tensor | None = None) -> Tensor:
        """As `surrogate.Shape`."""
        slope = torch.square(z, out=out).mul_(-self.width / 2).exp_()
        return slope.mul_(math.sqrt(self.width / (2 * math.pi)))
