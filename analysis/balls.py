"""Balls of ℓp norms: uniform points in them, the worst one for a linear function, their ratio.

For a linear f with slope g in d dimensions, Definitions 4.1 and 4.2 of Liu et al. 2024 give

    norm    ρ_adv / ε²     ρ_rand / ε²                  ratio
    linf    ‖g‖₁²          ‖g‖₂² / 3                    3·‖g‖₁² / ‖g‖₂²
    l2      ‖g‖₂²          ‖g‖₂² / (d + 2)              d + 2
    l1      ‖g‖∞²          2·‖g‖₂² / ((d + 1)(d + 2))   (d + 1)(d + 2)/2 · ‖g‖∞² / ‖g‖₂²

The first is the paper's (Eq. 21): it falls where g is sparse. The second does not depend on g, and
the third rises where g is sparse.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..attacks.norms import NORMS
from ..core.choice import chosen

Uniform = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
"""Of draws and a shape: a uniform point of the unit ball."""


@dataclass(frozen=True, kw_only=True)
class UnitBall:
    """The unit ball of a norm.

    Args:
        uniform: A uniform point in it.
        worst: By sample, the point at which a linear function of this slope is largest.
        spread: By dimension d, the mean square of an entry of a uniform point.
    """

    uniform: Uniform
    worst: Callable[[Tensor], Tensor]
    spread: Callable[[int], float]

    def ratio(self, gradient: Float[Tensor, "N *axes"]) -> Float[Tensor, " N"]:
        """ρ_adv/ρ_rand of a linear function of this slope; NaN where the slope is 0."""
        flat = gradient.flatten(1).double()
        worst = self.worst(gradient).flatten(1).double()
        found = (flat * worst).sum(1).square() / flat.square().sum(1)
        return (found / self.spread(flat.shape[1])).float()


def _in_cube(draw: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return draw.uniform(-1.0, 1.0, shape)


def _inwards(draw: np.random.Generator, edge: np.ndarray) -> np.ndarray:
    """A point of the sphere moved inwards so that the ball is filled evenly."""
    return edge * draw.uniform() ** (1.0 / edge.size)


def _in_ball(draw: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return _inwards(draw, NORMS["l2"].edge(draw, shape, 1.0))


def _in_diamond(draw: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return _inwards(draw, NORMS["l1"].edge(draw, shape, 1.0))


def _one_entry(gradient: Tensor) -> Tensor:
    """The sign of the largest entry of each sample, 0 elsewhere."""
    flat = gradient.flatten(1)
    place = flat.abs().argmax(1, keepdim=True)
    return torch.zeros_like(flat).scatter(1, place, flat.gather(1, place).sign()).view_as(gradient)


BALLS: dict[str, UnitBall] = {
    "linf": UnitBall(uniform=_in_cube, worst=torch.sign, spread=lambda d: 1 / 3),
    "l2": UnitBall(uniform=_in_ball, worst=NORMS["l2"].steepest, spread=lambda d: 1 / (d + 2)),
    "l1": UnitBall(uniform=_in_diamond, worst=_one_entry, spread=lambda d: 2 / ((d + 1) * (d + 2))),
}
"""By name. There is no ball of l0: its points have no greatest size."""


def ball(norm: str) -> UnitBall:
    """The unit ball of a norm.

    Raises:
        ConfigError: If it has none.
    """
    return chosen(BALLS, norm, what="a norm")


def equal_noise(epsilon: float, norm: str, shape: tuple[int, int, int]) -> float:
    """The radius in a norm whose random noise is as strong as that of linf with radius epsilon.

    As strong: ρ_rand of every linear function is the same, so ε²·E δᵢ² is. Of l0, which has no
    uniform noise, the number of pixels, one at least, whose replacement by uniform values costs as
    much square distance: E(u − x)² = 1/6 an entry for uniform u and x, hence k = 2·ε²·H·W.

    Args:
        epsilon: In input units.
        norm: linf, l2, l1 or l0.
        shape: `(C, H, W)`.
    """
    entries = math.prod(shape)
    if norm == "l0":
        return float(max(1, round(2 * epsilon**2 * entries / shape[0])))
    return epsilon * math.sqrt(ball("linf").spread(entries) / ball(norm).spread(entries))
