"""Sparse-RS (Croce et al. 2022): random search for few pixels, no gradient needed."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from .attack import Attack
from .loss import margin
from .trial import Trial

FIRST_SHARE = 0.3
"""Of the changed pixels that the first proposal exchanges."""
SHARES = (
    (0, 2),
    (50, 4),
    (200, 5),
    (500, 6),
    (1000, 8),
    (2000, 10),
    (4000, 12),
    (6000, 15),
    (8000, 20),
)
"""After so many of 10,000 queries, `FIRST_SHARE` over so much."""


@dataclass(frozen=True, kw_only=True)
class SparseRS(Attack):
    """ε pixels of random places and colours, exchanged where that raises max_{k≠y} z_k − z_y.

    Colours are corners of the range in all channels; where too few places are left to exchange
    with, changed pixels get new ones. The schedule is stretched to the number of queries. `steps`
    counts queries after the start.
    """

    step_size: None = field(default=None, init=False)
    takes_gradients: ClassVar[bool] = False
    counts_last: ClassVar[bool] = False
    norms: ClassVar[tuple[str, ...]] = ("l0",)

    def _run(self, trial: Trial, draws: list[np.random.Generator]) -> None:
        images, threat = trial.images, trial.threat
        pixels = images[0, 0].numel()
        chosen = min(round(threat.radius), pixels)
        # The first so many places are changed; an exchange swaps places across that border.
        order = _stacked([draw.permutation(pixels) for draw in draws], images)
        colours = threat.top * _corners(draws, images, pixels)
        reached = trial.judge(_painted(images, order[:, :chosen], colours), loss=margin)
        for step in range(self.steps):
            if trial.is_over or not chosen:
                return
            count = exchanged(step, self.steps, chosen)
            swapped = _swapped(order, chosen, min(count, pixels - chosen), draws)
            fresh = threat.top * _corners(draws, images, count)
            painted = colours.scatter(2, _wide(swapped[:, :count], images), fresh)
            found = trial.judge(_painted(images, swapped[:, :chosen], painted), loss=margin)
            is_better = found > reached
            order = torch.where(is_better[:, None], swapped, order)
            colours = torch.where(is_better[:, None, None], painted, colours)
            reached = torch.where(is_better, found, reached)


def exchanged(step: int, steps: int, chosen: int) -> int:
    """Pixels that step `step` (from 0) of `steps` exchanges, of so many that are changed."""
    scaled = step * 10_000 // max(steps, 1)
    over = max((over for limit, over in SHARES if scaled > limit), default=1)
    return max(int(FIRST_SHARE / over * chosen), 1)


def _swapped(order: Tensor, chosen: int, count: int, draws: list[np.random.Generator]) -> Tensor:
    """Orders in which the first `count` places came from behind the border."""
    pixels = order.shape[1]
    kept = [draw.permutation(chosen) for draw in draws]
    new = [chosen + draw.permutation(pixels - chosen) for draw in draws]
    moved = [
        np.concatenate([b[:count], a[count:], a[:count], b[count:]])
        for a, b in zip(kept, new, strict=True)
    ]
    return order.gather(1, _stacked(moved, order))


def _corners(draws: list[np.random.Generator], images: Tensor, count: int) -> Tensor:
    """0 or 1, `[N, C, count]`."""
    shape = (images.shape[1], count)
    return _stacked([draw.integers(0, 2, shape) for draw in draws], images).to(images)


def _painted(images: Tensor, places: Tensor, colours: Tensor) -> Tensor:
    """Images with some pixels in their colours."""
    where = _wide(places, images)
    flat = images.flatten(2)
    return flat.scatter(2, where, colours.gather(2, where)).view_as(images)


def _wide(places: Tensor, images: Tensor) -> Tensor:
    return places[:, None].expand(-1, images.shape[1], -1)


def _stacked(arrays: list[np.ndarray], like: Tensor) -> Tensor:
    return torch.from_numpy(np.stack(arrays)).to(like.device)
