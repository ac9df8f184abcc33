"""RayS (Chen and Gu 2020): a hard-label attack that asks for decisions only, L∞."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .attack import Attack
from .lattice import LEVELS
from .trial import Trial

HALVINGS = 8
"""Of a radius in 0..1: finds it to one level of 255."""


@dataclass(frozen=True, kw_only=True)
class RayS(Attack):
    """Looks for signs d along which the nearest other class lies closest: min r, x + r·d fools.

    Blocks of d are flipped, two at first, then four, eight, …; a flip is kept where it shortens r,
    which is then searched by halving. Sees neither logits nor gradients, so masking does not hinder
    it. `steps` counts flips, of one query each and eight more where a flip helps; a sample is done
    when its r lies within the ball. The search leaves the ball; only its end, cut to the ball, is
    judged.
    """

    step_size: None = field(default=None, init=False)
    takes_gradients: ClassVar[bool] = False
    is_random: ClassVar[bool] = False
    counts_last: ClassVar[bool] = False

    def _run(self, trial: Trial, draws: list[np.random.Generator]) -> None:
        del draws
        images = trial.images
        signs = torch.ones_like(images)
        radius = torch.full_like(images[:, 0, 0, 0], torch.inf)
        radius = _shortened(trial, signs, radius)
        ball = trial.threat.radius
        for start, stop in _blocks(images[0].numel(), self.steps):
            tried = signs.flatten(1).clone()
            tried[:, start:stop] *= -1.0
            tried = tried.view_as(signs)
            if bool((radius <= ball).all()):
                break
            found = _shortened(trial, tried, radius, done=radius <= ball)
            is_better = found < radius
            signs = torch.where(is_better[:, None, None, None], tried, signs)
            radius = torch.where(is_better, found, radius)
        trial.judge(_moved(trial, signs, radius.clamp(max=ball)))


def _shortened(
    trial: Trial,
    signs: Tensor,
    radius: Float[Tensor, " N"],
    *,
    done: Bool[Tensor, " N"] | None = None,
) -> Float[Tensor, " N"]:
    """The least radius at which x + r·d fools, where below `radius` and not done, else `radius`."""
    asking = torch.ones_like(radius, dtype=torch.bool) if done is None else ~done
    whole = radius.clamp(max=1 + 1 / LEVELS)
    farthest = _moved(trial, signs, whole - 1 / LEVELS)
    is_shorter = trial.is_adversarial(farthest, asking=asking) & asking
    if not bool(is_shorter.any()):
        return radius
    low, high = torch.zeros_like(radius), whole - 1 / LEVELS
    for _ in range(HALVINGS):
        middle = _whole_levels((low + high) / 2)
        fools = trial.is_adversarial(_moved(trial, signs, middle), asking=is_shorter)
        low, high = torch.where(fools, low, middle), torch.where(fools, middle, high)
    return torch.where(is_shorter, high, radius)


def _whole_levels(radius: Tensor) -> Tensor:
    return (radius * LEVELS).floor() / LEVELS


def _moved(trial: Trial, signs: Tensor, radius: Float[Tensor, " N"]) -> Tensor:
    return (trial.images + radius[:, None, None, None] * signs).clamp(0.0, trial.threat.top)


def _blocks(entries: int, steps: int) -> list[tuple[int, int]]:
    """Which entries are flipped in each step: halves, quarters, …, then from the start again."""
    found: list[tuple[int, int]] = []
    parts = 2
    while len(found) < steps:
        size = -(-entries // parts)
        found += [(start, min(start + size, entries)) for start in range(0, entries, size)]
        parts = parts * 2 if size > 1 else 2
    return found[:steps]
