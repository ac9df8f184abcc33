"""Balls of four norms: what projects onto one, which way is steepest, what rounding stays inside.

    norm    epsilon                 is
    linf    input units             the greatest change of an entry
    l2      input units             √Σδ²
    l1      input units             Σ|δ|
    l0      pixels, whole           pixels that change, in whatever channels

Changes have the axes `[N, C, H, W]`; everything is computed for each sample on its own.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Project = Callable[[Tensor, Tensor, Tensor, float], Tensor]
"""Of a change, the least and the greatest change that the range leaves, and epsilon."""

Draw = Callable[[np.random.Generator, tuple[int, ...], float], np.ndarray]
"""Of draws, the shape of an image, and epsilon: a random change of that size."""

HALVINGS = 40
"""Of the multiplier that an ℓ1 projection looks for."""

SPARSE = 0.05
"""Share of the entries that a step moves in the ℓ1 ball; a single one would take too many steps."""

L0_STEP = 0.15
"""Mean change of an entry in one step in the ℓ0 ball: 120000/255 over the 3072 of CIFAR-10."""


@dataclass(frozen=True, kw_only=True)
class Norm:
    """One norm.

    Args:
        size: Of each change.
        project: Onto ball and range.
        steepest: The step of size 1 that raises a loss most, given its gradient; 0 stays 0.
        step: Size of one of so many steps, as `steepest` counts it, in a ball of epsilon.
        edge: A random change of the greatest size.
        most: Epsilon of the ball that holds a change of all so many entries by so much; of l0 that
            share of them.
        is_sparse: Whether the steepest step moves few entries.
        is_lazy: Whether a shadow iterate may leave the ball, and only what the network sees of it
            is projected: pixels once chosen would otherwise stay chosen.
        cost: What it costs to round a change of so many levels away from 0, for the budget of
            `budget`; None where rounding to the nearest level never leaves the ball.
        budget: Of epsilon in levels, and of changes in whole levels: what is left to spend.
    """

    size: Callable[[Tensor], Tensor]
    project: Project
    steepest: Callable[[Tensor], Tensor]
    step: Callable[[float, int], float]
    edge: Draw
    most: Callable[[float, int], float]
    is_sparse: bool = False
    is_lazy: bool = False
    cost: Callable[[Tensor], Tensor] | None = None
    budget: Callable[[float, Tensor], Tensor] | None = None


def rounded(change: Tensor, norm: Norm, radius: float) -> Tensor:
    """A change in levels as whole levels that are inside the ball if it is.

    Entries go to the nearest level, but those that would go away from 0 do so only as far as the
    ball allows, the largest fraction first, of equals the first entry; the others go towards 0.

    Args:
        change: `[N, C, H, W]`, in levels.
        norm: Of the ball.
        radius: Epsilon in levels.
    """
    if norm.cost is None or norm.budget is None:
        return change.round()
    flat = change.double().flatten(1)
    whole = flat.abs().floor()
    fraction = flat.abs() - whole
    order = fraction.argsort(dim=1, descending=True, stable=True)
    spent = (norm.cost(whole) * (fraction >= 0.5)).gather(1, order).cumsum(1)
    is_paid = spent <= norm.budget(radius, whole)[:, None]
    up = torch.zeros_like(is_paid).scatter(1, order, is_paid) & (fraction >= 0.5)
    return (flat.sign() * (whole + up)).to(change.dtype).view_as(change)


def _clip(change: Tensor, low: Tensor, high: Tensor, radius: float) -> Tensor:
    return change.clamp(-radius, radius).clamp(low, high)


def _scale(change: Tensor, low: Tensor, high: Tensor, radius: float) -> Tensor:
    """Onto the ℓ2 ball, then into the range, which brings entries nearer to 0."""
    size = _wide(_l2(change))
    return torch.where(size > radius, change * (radius / size), change).clamp(low, high)


def _shrink(change: Tensor, low: Tensor, high: Tensor, radius: float) -> Tensor:
    """The nearest point of ℓ1 ball and range (Croce and Hein 2021): soft threshold, then clip.

    δ_i ← clip(sign(δ_i)·max(|δ_i| − λ, 0));  λ ≥ 0 the least with Σ|δ_i| ≤ ε
    """
    inside = change.clamp(low, high)
    least = torch.zeros_like(change[:, :1, :1, :1])
    most = change.abs().flatten(1).amax(1)[:, None, None, None]
    for _ in range(HALVINGS):
        middle = (least + most) / 2
        is_over = _wide(_l1(_soft(change, middle).clamp(low, high))) > radius
        least, most = torch.where(is_over, middle, least), torch.where(is_over, most, middle)
    is_out = _wide(_l1(inside)) > radius
    return torch.where(is_out, _soft(change, most).clamp(low, high), inside)


def _soft(change: Tensor, threshold: Tensor) -> Tensor:
    return change.sign() * (change.abs() - threshold).clamp(min=0)


def _sparsify(change: Tensor, low: Tensor, high: Tensor, radius: float) -> Tensor:
    """The nearest point of ℓ0 ball and range (Croce and Hein 2019): the pixels that matter most."""
    clipped = change.clamp(low, high)
    gain = (change.square() - (change - clipped).square()).sum(1).flatten(1)
    order = gain.argsort(dim=1, descending=True, stable=True)[:, : round(radius)]
    kept = torch.zeros_like(gain).scatter(1, order, 1.0).view_as(change[:, :1])
    return clipped * kept


def _l2(change: Tensor) -> Tensor:
    return change.flatten(1).norm(dim=1)


def _l1(change: Tensor) -> Tensor:
    return change.flatten(1).abs().sum(1)


def _largest(gradient: Tensor) -> Tensor:
    """Signs of the entries of largest slope, Σ = 1 (SLIDE, Tramèr and Boneh 2019)."""
    flat = gradient.flatten(1)
    count = max(math.ceil(SPARSE * flat.shape[1]), 1)
    order = flat.abs().argsort(dim=1, descending=True, stable=True)[:, :count]
    signs = torch.zeros_like(flat).scatter(1, order, flat.gather(1, order).sign())
    return _over(signs.view_as(gradient), _l1(signs.view_as(gradient)))


def _over(gradient: Tensor, size: Tensor) -> Tensor:
    return torch.where(_wide(size) > 0, gradient / _wide(size), 0.0)


def _wide(size: Tensor) -> Tensor:
    return size[:, None, None, None]


def _across(radius: float, steps: int) -> float:
    """Steps that add up to 2.5 radii: they can cross the ball."""
    return 2.5 * radius / max(steps, 1)


def _on_sphere(draw: np.random.Generator, shape: tuple[int, ...], radius: float) -> np.ndarray:
    found = draw.standard_normal(shape)
    return radius * found / np.linalg.norm(found)


def _on_simplex(draw: np.random.Generator, shape: tuple[int, ...], radius: float) -> np.ndarray:
    found = draw.laplace(size=shape)
    return radius * found / np.abs(found).sum()


def _few_pixels(draw: np.random.Generator, shape: tuple[int, ...], radius: float) -> np.ndarray:
    places = draw.permutation(shape[1] * shape[2]) < round(radius)
    return (2.0 * draw.integers(0, 2, shape) - 1.0) * places.reshape(1, *shape[1:])


NORMS: dict[str, Norm] = {
    "linf": Norm(
        size=lambda change: change.flatten(1).abs().amax(1),
        project=_clip,
        steepest=torch.sign,
        step=_across,
        edge=lambda draw, shape, radius: radius * (2.0 * draw.integers(0, 2, shape) - 1.0),
        most=lambda change, entries: change,
    ),
    "l2": Norm(
        size=_l2,
        project=_scale,
        steepest=lambda gradient: _over(gradient, _l2(gradient)),
        step=_across,
        edge=_on_sphere,
        most=lambda change, entries: change * math.sqrt(entries),
        cost=lambda whole: 2 * whole + 1,
        budget=lambda radius, whole: radius**2 - whole.square().sum(1),
    ),
    "l1": Norm(
        size=_l1,
        project=_shrink,
        steepest=_largest,
        is_sparse=True,
        step=_across,
        edge=_on_simplex,
        most=lambda change, entries: change * entries,
        cost=torch.ones_like,
        budget=lambda radius, whole: radius - whole.sum(1),
    ),
    "l0": Norm(
        size=lambda change: (change != 0).any(1).flatten(1).sum(1).to(change.dtype),
        project=_sparsify,
        steepest=lambda gradient: _over(gradient, gradient.flatten(1).abs().mean(1)),
        step=lambda radius, steps: L0_STEP,
        edge=_few_pixels,
        most=lambda change, entries: float(round(change * entries)),
        is_lazy=True,
    ),
}
"""By name."""
