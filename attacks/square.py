"""Square Attack (Andriushchenko et al. 2020): random search that needs no gradient."""

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .attack import Attack
from .loss import margin
from .square_l2 import Hills
from .trial import Trial

FIRST_SHARE = 0.8
"""Of the image that the first square covers, as in AutoAttack."""
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""After so many of 10,000 queries the share halves."""


@dataclass(frozen=True, kw_only=True)
class Square(Attack):
    """Squares that change, kept where they raise the margin max_{k≠y} z_k − z_y.

    In the ℓ∞ ball squares of ±ε a channel, after a start of vertical stripes; in the ℓ2 ball hills
    (`square_l2`). The schedule of sizes is stretched to the number of queries. `steps` counts
    queries after the start. Differences to the authors' code: every sample has squares of its own,
    and a square that happens to change nothing is spent, not redrawn.
    """

    step_size: None = field(default=None, init=False)
    takes_gradients: ClassVar[bool] = False
    counts_last: ClassVar[bool] = False
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")

    def _run(self, trial: Trial, draws: list[np.random.Generator]) -> None:
        proposals = PROPOSALS[trial.threat.norm](trial, draws, self.steps)
        best = proposals.start()
        reached = trial.judge(best, loss=margin)
        for step in range(self.steps):
            if trial.is_over:
                return
            candidate = proposals.propose(best, step, share_covered(step, self.steps))
            found = trial.judge(candidate, loss=margin)
            is_better = found > reached
            best = torch.where(is_better[:, None, None, None], candidate, best)
            reached = torch.where(is_better, found, reached)


class Signs:
    """Squares of ±ε a channel; arguments as `Hills`."""

    def __init__(self, trial: Trial, draws: list[np.random.Generator], steps: int) -> None:
        self.images, self.threat = trial.images, trial.threat
        self.stripes = _stripes(self.images, draws)
        self.places, self.signs = _plan(self.images, draws, steps)

    def start(self) -> Float[Tensor, "N C H W"]:
        """Vertical stripes of random sign."""
        return self._moved(self.stripes)

    def propose(
        self, best: Float[Tensor, "N C H W"], step: int, share: float
    ) -> Float[Tensor, "N C H W"]:
        """The best point with the next square, which covers that share of the image."""
        inside = _squares(self.images, self.places[:, step], share)
        return torch.where(inside[:, None], self._moved(self.signs[:, step]), best)

    def _moved(self, signs: Tensor) -> Tensor:
        return self.threat.project(self.images + self.threat.radius * signs, self.images)


PROPOSALS: dict[str, type[Signs] | type[Hills]] = {"linf": Signs, "l2": Hills}
"""What is tried, by norm."""


def share_covered(step: int, steps: int) -> float:
    """Share of the image that the square of step `step` (from 0) of `steps` covers."""
    scaled = step * 10_000 // max(steps, 1)
    return FIRST_SHARE / 2 ** sum(scaled > limit for limit in HALVINGS)


def _stripes(images: Tensor, draws: list[np.random.Generator]) -> Tensor:
    channels, _, width = images.shape[1:]
    signs = np.stack([draw.integers(0, 2, (channels, 1, width)) for draw in draws])
    return 2.0 * torch.from_numpy(signs).to(images) - 1.0


def _plan(images: Tensor, draws: list[np.random.Generator], steps: int) -> tuple[Tensor, Tensor]:
    """Where each square lies, in 0..1, `[N, steps, 2]`; its signs `[N, steps, C, 1, 1]`."""
    places = np.stack([draw.random((steps, 2)) for draw in draws])
    shape = (steps, images.shape[1], 1, 1)
    signs = np.stack([draw.integers(0, 2, shape) for draw in draws])
    return torch.from_numpy(places), 2.0 * torch.from_numpy(signs).to(images) - 1.0


def _squares(
    images: Float[Tensor, "N C H W"], places: Float[Tensor, "N 2"], share: float
) -> Bool[Tensor, "N H W"]:
    """The pixels of one square a sample."""
    height, width = images.shape[2:]
    side = min(max(round(math.sqrt(share * height * width)), 1), height, width)
    rooms = torch.tensor([height - side + 1, width - side + 1])
    corners = (places * rooms).long().to(images.device)
    rows, columns = (torch.arange(size, device=images.device) for size in (height, width))
    (top, left) = corners[:, :1], corners[:, 1:]
    in_rows = (rows >= top) & (rows < top + side)
    in_columns = (columns >= left) & (columns < left + side)
    return in_rows[:, :, None] & in_columns[:, None, :]
