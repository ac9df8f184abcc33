"""Sparse flips of cells: few of them, found by trying, and fewer by undoing (Lun et al., SDA)."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from .attack import require_positive
from .events import EventAttack
from .lattice import Cells
from .loss import margin
from .trial import Trial

SETTLED = 0.0
"""A margin from which on a sample is fooled; ties are decided by the class index."""


@dataclass(frozen=True, kw_only=True)
class SDA(EventAttack):
    """Sparse dynamic attack: flips cells between empty and one event.

    An empty cell gains an event, any other loses all of its. Round n takes the 10·n cells, at
    `first` = 10, whose flip the gradient of max_k≠y z_k − z_y favours most and that were not
    flipped yet, tries each alone, and flips those that do not lower that margin. Once a sample is
    fooled, the longest run of its weakest flips without which it still is, found by halving, is
    taken back.

    Of the published attack this leaves out that missing gradients are filled with random values:
    a cell without a gradient is not flipped. It runs `steps` rounds instead of 500, and failure
    answers with the point of greatest loss. Sensor physics: events are whole, none below zero.

    Args:
        first: Flips that the first round tries; the n-th tries n times as many.
    """

    first: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, first=self.first)

    @property
    def budget(self) -> str:
        """What it may change at most, in words."""
        return f"{self.first * self.steps * (self.steps + 1) // 2} cells emptied or given an event"

    def _run(self, trial: Trial, draws: list[np.random.Generator]) -> None:
        del draws
        cells = trial.threat.require_cells()
        flips = Flips(trial.images, cells)
        for number in range(1, self.steps + 1):
            if trial.is_over:
                return
            before, gradient = trial.differentiate(flips.images(), loss=margin)
            chosen = flips.favoured(gradient, self.first * number)
            # A sample that is fooled keeps its flips; it is tried on all the same, so that how
            # often the target is asked does not depend on the batch.
            is_open = before <= SETTLED
            gains = torch.stack(
                [
                    trial.judge(flips.images(chosen[:, k]), loss=margin) - before
                    for k in range(chosen.shape[1])
                ],
                dim=1,
            )
            flips.add(chosen, gains, is_open=is_open)
        _reduce(trial, flips)


class Flips:
    """Which cells of each sample are flipped, and how much each flip gained when it was tried."""

    def __init__(self, originals: Float[Tensor, "N channels H W"], cells: Cells) -> None:
        self._shape = originals.shape
        self._start = originals.flatten(1)
        one = cells.images(torch.ones_like(self._start[:, :1, None, None])).flatten(1)
        self._flipped = torch.where(self._start > 0, torch.zeros_like(self._start), one)
        self.gains = torch.full_like(self._start, torch.inf)
        """Of each flip; infinite where a cell is not flipped."""

    @property
    def chosen(self) -> Bool[Tensor, "N cells"]:
        """Which cells are flipped."""
        return self.gains < torch.inf

    def images(
        self,
        also: Int64[Tensor, " N"] | None = None,
        *,
        without: Bool[Tensor, "N cells"] | None = None,
    ) -> Float[Tensor, "N channels H W"]:
        """The flipped stacks, with one more cell flipped, or `without` some of them."""
        chosen = self.chosen if without is None else self.chosen & ~without
        if also is not None:
            chosen = chosen.scatter(1, also[:, None], torch.ones_like(chosen[:, :1]))
        return torch.where(chosen, self._flipped, self._start).view(self._shape)

    def favoured(
        self, gradient: Float[Tensor, "N channels H W"], count: int
    ) -> Int64[Tensor, "N count"]:
        """Cells not flipped yet whose flip raises the loss most by the gradient, best first."""
        promised = gradient.flatten(1) * (self._flipped - self._start)
        promised = promised.masked_fill(self.chosen, -torch.inf)
        return promised.argsort(dim=1, descending=True, stable=True)[:, :count]

    def add(
        self,
        tried: Int64[Tensor, "N count"],
        gains: Float[Tensor, "N count"],
        *,
        is_open: Bool[Tensor, " N"],
    ) -> None:
        """Flips those that lowered nothing, of the samples that are open."""
        is_kept = (gains >= 0) & is_open[:, None]
        kept = torch.where(is_kept, gains, self.gains.gather(1, tried))
        self.gains = self.gains.scatter(1, tried, kept)


def _reduce(trial: Trial, flips: Flips) -> None:
    """Takes back the longest run of weakest flips without which a fooled sample still is fooled."""
    order = flips.gains.argsort(dim=1, stable=True)
    rank = torch.empty_like(order).scatter(
        1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
    )
    low = torch.zeros_like(order[:, 0])
    high = flips.chosen.sum(dim=1)
    trial.judge(flips.images(), loss=margin)
    for _ in range(int(rank.shape[1]).bit_length()):
        middle = (low + high + 1) // 2
        fooled = trial.judge(flips.images(without=rank < middle[:, None]), loss=margin) > SETTLED
        low, high = torch.where(fooled, middle, low), torch.where(fooled, high, middle - 1)
        high = torch.maximum(high, low)
    trial.judge(flips.images(without=rank < low[:, None]), loss=margin)
