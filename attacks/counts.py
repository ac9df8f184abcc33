"""Whole events added to cells of frames, or taken away: a budget of events, spent greedily."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .attack import require_positive
from .events import EventAttack
from .lattice import Cells
from .trial import Trial


@dataclass(frozen=True, kw_only=True)
class Counts(EventAttack):
    """Adds and takes away steps·stride events, those first that promise most.

        gain_i = |∂CE/∂x_i| where the change that ∂CE/∂x_i asks for is lawful, else 0

    A step changes the `stride` cells of greatest gain by one event each. No change is taken back,
    so that more steps go through all that fewer of them visit. Sensor physics: events are whole, no
    cell counts less than none and none more than its cap.

    Args:
        stride: Events of one step.
    """

    stride: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, stride=self.stride)

    @property
    def budget(self) -> str:
        """What it may change at most, in words."""
        return f"{self.steps * self.stride} events added or taken away"

    def _run(self, trial: Trial, draws: list[np.random.Generator]) -> None:
        del draws
        cells = trial.threat.require_cells()
        original = counts = cells.counts(trial.images)
        for _ in range(self.steps):
            if trial.is_over:
                return
            _, gradient = trial.differentiate(cells.images(counts))
            wanted = lawful_signs(counts, gradient.sign(), cells, original=original)
            counts = counts + strongest(wanted * gradient.abs(), self.stride).sign()
        trial.judge(cells.images(counts))


def lawful_signs(
    counts: Float[Tensor, "N channels H W"],
    signs: Float[Tensor, "N channels H W"],
    cells: Cells,
    *,
    original: Float[Tensor, "N channels H W"],
) -> Float[Tensor, "N channels H W"]:
    """Changes by one event that leave counts within 0 and the cap, and take no change back."""
    changed = counts + signs
    is_within = (changed >= 0) & (changed <= cells.most)
    is_onward = (counts - original) * signs >= 0
    return signs * (is_within & is_onward)


def strongest(
    values: Float[Tensor, "N channels H W"], most: int
) -> Float[Tensor, "N channels H W"]:
    """The `most` values of greatest size of each sample, all others 0; of equals the first."""
    flat = values.flatten(1)
    order = flat.abs().argsort(dim=1, descending=True, stable=True)[:, :most]
    kept = torch.zeros_like(flat).scatter(1, order, flat.gather(1, order))
    return kept.view_as(values)
