"""APGD in the ℓ1 ball (Croce and Hein 2021, Mind the box): sparse steps, as many as help."""

from torch import Tensor, where
from torch import full_like as filled

from .loss import Loss
from .trial import Trial

FIRST_SHARE = 0.2
"""Of the entries, moved by the first steps."""
FEWER = 1.5
"""A step moves so many times fewer entries than the best point has changed."""
SETTLED = 0.95
"""Below this ratio of changed entries to those before, the support still shrinks."""
CALMER, CALMEST = 1.5, 10.0
"""Where it does not, the step shrinks by the first, never below ε over the second."""
CHECKED = 0.04
"""Share of the steps between checkpoints."""


class SparseWalk:
    """Where each sample stands.

        x ← Π(x + η·sign(g|k)/k),  g|k the k entries of largest slope

    η starts at ε. At each checkpoint k becomes the entries that the best point changes, over 1.5;
    where that number fell below 95 % of the last one, η returns to ε and x to the best point, else
    η shrinks.

    Args:
        trial: Keeps the record.
        start: First point.
        climbed: The loss.
    """

    def __init__(self, trial: Trial, start: Tensor, climbed: Loss) -> None:
        self.trial, self.climbed = trial, climbed
        self.x = self.best = start
        self.loss, self.gradient = trial.differentiate(start, loss=climbed)
        self.best_loss, self.best_gradient = self.loss, self.gradient
        self.entries = start[0].numel()
        self.share = filled(self.loss, FIRST_SHARE)
        self.size = filled(self.loss, trial.threat.radius)
        self.changed = filled(self.loss, float(self.entries))

    def run(self, steps: int) -> None:
        """So many steps; ends early where the trial is over."""
        every = max(int(CHECKED * steps), 1)
        for step in range(1, steps + 1):
            if self.trial.is_over:
                return
            self._advance()
            if step % every == 0:
                self._reconsider()

    def _advance(self) -> None:
        moved = self.x + _wide(self.size) * self._direction()
        self.x = self.trial.threat.project(moved, self.trial.images)
        self.loss, self.gradient = self.trial.differentiate(self.x, loss=self.climbed)
        is_better = self.loss > self.best_loss
        self.best = where(_wide(is_better), self.x, self.best)
        self.best_gradient = where(_wide(is_better), self.gradient, self.best_gradient)
        self.best_loss = where(is_better, self.loss, self.best_loss)

    def _direction(self) -> Tensor:
        """Signs of the steepest entries, Σ = 1."""
        slopes = self.gradient.flatten(1).abs()
        count = (self.share * self.entries).long().clamp(1, self.entries)
        least = slopes.sort(dim=1, descending=True).values.gather(1, count[:, None] - 1)
        signs = self.gradient.sign() * (slopes >= least).view_as(self.gradient)
        return signs / _wide(signs.flatten(1).abs().sum(1).clamp(min=1))

    def _reconsider(self) -> None:
        changed = (self.best != self.trial.images).flatten(1).sum(1).to(self.loss)
        is_shrinking = changed < SETTLED * self.changed
        radius = self.trial.threat.radius
        calmer = (self.size / CALMER).clamp(min=radius / CALMEST)
        self.size = where(is_shrinking, filled(calmer, radius), calmer)
        self.share = changed / self.entries / FEWER
        self.x = where(_wide(is_shrinking), self.best, self.x)
        self.gradient = where(_wide(is_shrinking), self.best_gradient, self.gradient)
        self.changed = changed


def _wide(values: Tensor) -> Tensor:
    return values[:, None, None, None]
