"""Few flips towards the nearest boundary: SparseFool for events (Büchel et al. 2022)."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .attack import require_positive
from .counts import lawful_signs
from .events import EventAttack
from .lattice import LEVELS, Cells
from .loss import margin
from .trial import Trial

OVERSHOOT = 0.02
REACH = 2.0
"""λ: how far beyond the boundary's linear model the flips go."""
TINY = 1e-12


@dataclass(frozen=True, kw_only=True)
class SpikeFool(EventAttack):
    """Goes to the nearest boundary by DeepFool, then across it by the fewest whole events.

        x_B ← x − m(x)·w/‖w‖²   repeated until m(x_B) > 0,  m = max_k≠y z_k − z_y,  w = ∇m
        flip the cells of largest |w| by one event until Σ |w|·flips > λ·w·(x_B − x)

    Each of the `steps` rounds starts from the flipped cells of the one before. Of the published
    attack this differs in that the runner-up stands for all other classes. At most `most` events
    are changed. Sensor physics: events are whole, no cell counts less than none and none more than
    its cap.

    Args:
        inner: Most steps of DeepFool in a round.
        most: Most events that are changed.
    """

    inner: int = 10
    most: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, inner=self.inner, most=self.most)

    @property
    def budget(self) -> str:
        """What it may change at most, in words."""
        return f"{self.most} events added or taken away"

    def _run(self, trial: Trial, draws: list[np.random.Generator]) -> None:
        del draws
        cells = trial.threat.require_cells()
        original = counts = cells.counts(trial.images)
        for _ in range(self.steps):
            if trial.is_over:
                return
            x = cells.images(counts)
            boundary, normal = self._boundary(trial, x)
            signs = lawful_signs(counts, normal.sign(), cells, original=original)
            spent = (counts - original).abs().flatten(1).sum(1)
            counts = counts + _across(x, boundary, normal, signs, cells, left=self.most - spent)
            trial.judge(cells.images(counts))

    def _boundary(self, trial: Trial, x: Tensor) -> tuple[Tensor, Tensor]:
        """DeepFool's point just beyond the nearest boundary, and the normal there."""
        point, normal = x, None
        for _ in range(self.inner):
            m, w = trial.slope(point, loss=margin)
            is_short = (m <= 0)[:, None, None, None]
            size = w.flatten(1).square().sum(1).clamp(min=TINY)
            move = (-m / size)[:, None, None, None] * w
            point = torch.where(is_short, point + (1 + OVERSHOOT) * move, point)
            normal = w if normal is None else torch.where(is_short, w, normal)
        assert normal is not None
        return point, normal


def _across(
    x: Float[Tensor, "N channels H W"],
    boundary: Float[Tensor, "N channels H W"],
    normal: Float[Tensor, "N channels H W"],
    signs: Float[Tensor, "N channels H W"],
    cells: Cells,
    *,
    left: Float[Tensor, " N"],
) -> Float[Tensor, "N channels H W"]:
    """Fewest lawful changes by one event whose linear effect is λ times that of the boundary."""
    effect = (normal * signs).flatten(1) * cells.unit / LEVELS
    wanted = REACH * (normal * (boundary - x)).flatten(1).sum(1, keepdim=True)
    order = effect.argsort(dim=1, descending=True, stable=True)
    ranked = effect.gather(1, order)
    before = ranked.cumsum(1) - ranked
    place = torch.arange(ranked.shape[1], device=x.device)
    is_taken = (before < wanted) & (ranked > 0) & (place < left[:, None])
    chosen = torch.zeros_like(effect).scatter(1, order, is_taken.to(effect))
    return signs * chosen.view_as(signs)
