"""Auto-PGD (Croce & Hein 2020, algorithm 1): PGD that chooses its step size, on several losses."""

from dataclasses import dataclass, field
from itertools import accumulate
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from .apgd_l1 import SparseWalk
from .attack import Attack
from .lattice import uniform_start
from .loss import CROSS_ENTROPY, LOSSES, Loss, targeted_dlr
from .trial import Trial

RHO = 0.75
MOMENTUM = 0.75


@dataclass(frozen=True, kw_only=True)
class APGD(Attack):
    """Any visited point that fooled counts.

        z = Π(x + η·sign ∇ₓ loss);  x⁺ = Π(x + a·(z − x) + (1 − a)·(x − x⁻))

    a = 0.75, in the first step 1. η starts at 2ε. At each checkpoint a sample whose loss rose in
    no more than ρ = 75 % of the steps since the last one, or whose best loss and η both stood
    still, halves η and goes back to its best point. In the ℓ2 ball the steepest step takes the
    place of the sign; in the ℓ1 ball steps are sparse (`apgd_l1`).

    Args:
        loss: What is climbed, a name of `LOSSES`.
    """

    step_size: None = field(default=None, init=False)
    loss: str = CROSS_ENTROPY
    counts_last: ClassVar[bool] = False
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2", "l1")

    def _run(self, trial: Trial, draws: list[np.random.Generator]) -> None:
        self._climb(trial, draws, LOSSES[self.loss])

    def _climb(self, trial: Trial, draws: list[np.random.Generator], loss: Loss) -> None:
        # The authors stretch the start until its largest entry is ε; over a few thousand pixels
        # that changes nothing, and it would leave the lattice.
        start = uniform_start(trial.images, threat=trial.threat, draws=draws)
        if trial.threat.norm == "l1":
            SparseWalk(trial, start, loss).run(self.steps)
            return
        walk = _Walk(trial, start, loss)
        lengths = checkpoint_lengths(self.steps)
        due = dict(zip(accumulate(lengths), lengths, strict=True))
        for step in range(1, self.steps + 1):
            if trial.is_over:
                return
            walk.advance(MOMENTUM if step > 1 else 1.0)
            if step in due:
                walk.reconsider(due[step])


@dataclass(frozen=True, kw_only=True)
class TargetedAPGD(APGD):
    """APGD-T: towards each of the likeliest wrong classes in turn, on the targeted DLR loss.

    Classes are ranked by the logits of the original image. Each is one run of `steps` steps from a
    start of its own; one restart is all of them.

    Args:
        targets: How many classes, as far as there are so many.
    """

    loss: str = field(default="targeted dlr", init=False)
    targets: int = 9

    def _run(self, trial: Trial, draws: list[np.random.Generator]) -> None:
        ranked = trial.rank_classes()
        for target in ranked[:, : self.targets].unbind(1):
            self._climb(trial, draws, targeted_dlr(target))
            if trial.is_over:
                return


def checkpoint_lengths(steps: int) -> tuple[int, ...]:
    """Steps between the checkpoints of a run of so many steps; a rest without one may follow.

    The first is 22 % of the steps, each next shorter by 3 %, never below 6 %; all at least 1.
    """
    # Products of whole numbers: 0.29·100 is 28.99… in floats.
    length, shrink, least = (max(percent * steps // 100, 1) for percent in (22, 3, 6))
    lengths: list[int] = []
    while sum(lengths) + length <= steps:
        lengths.append(length)
        length = max(length - shrink, least)
    return tuple(lengths)


class _Walk:
    """Where each sample stands: its point, best point, step size, and record since a checkpoint."""

    def __init__(self, trial: Trial, start: Tensor, climbed: Loss) -> None:
        self.trial, self.climbed = trial, climbed
        self.x = self.previous = self.best = start
        self.loss, self.gradient = trial.differentiate(start, loss=climbed)
        self.best_loss = self.checked_loss = self.loss
        self.best_gradient = self.gradient
        self.size = torch.full_like(start[:, :1, :1, :1], 2 * trial.threat.radius)
        self.rises = torch.zeros_like(self.loss)
        # As the authors' code: "best loss and η both stood still" cannot hold at the first check.
        self.is_halved = torch.ones_like(self.loss, dtype=torch.bool)

    def advance(self, a: float) -> None:
        """One step with momentum, and its loss and gradient."""
        z = self._project(self.x + self.size * self.trial.threat.ball.steepest(self.gradient))
        moved = self._project(self.x + a * (z - self.x) + (1 - a) * (self.x - self.previous))
        self.previous, self.x = self.x, moved
        loss, self.gradient = self.trial.differentiate(moved, loss=self.climbed)
        self.rises = self.rises + (loss > self.loss)
        self.loss = loss
        is_better = loss > self.best_loss
        self.best = _choose(is_better, moved, self.best)
        self.best_gradient = _choose(is_better, self.gradient, self.best_gradient)
        self.best_loss = torch.where(is_better, loss, self.best_loss)

    def reconsider(self, length: int) -> None:
        """A checkpoint, `length` steps after the last one."""
        stood_still = ~self.is_halved & (self.best_loss <= self.checked_loss)
        self.is_halved = (self.rises <= RHO * length) | stood_still
        self.size = _choose(self.is_halved, self.size / 2, self.size)
        # `loss` stays that of the point visited last: the next rise is counted against it.
        self.x = _choose(self.is_halved, self.best, self.x)
        self.gradient = _choose(self.is_halved, self.best_gradient, self.gradient)
        self.checked_loss = self.best_loss
        self.rises = torch.zeros_like(self.rises)

    def _project(self, x: Tensor) -> Tensor:
        return self.trial.threat.project(x, self.trial.images)


def _choose(mask: Tensor, chosen: Tensor, other: Tensor) -> Tensor:
    return torch.where(mask[:, None, None, None], chosen, other)
