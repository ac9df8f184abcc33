"""Proposals of Square Attack in the ℓ2 ball (Andriushchenko et al. 2020, Algorithm 3)."""

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from .norms import NORMS
from .trial import Trial

TILES = 5
"""Of the start, along the shorter side."""
SMALLEST = 3
"""Pixels along a window."""
TINY = 1e-12


class Hills:
    """Moves what the change spends in one window, and what is left of ε, to a hill in another.

    A hill is a pair of heaps of opposite sign that fall off from their middles. All proposals lie
    on the edge of the ball before they are cut to the range.

    Args:
        trial: Of the images.
        draws: One generator a sample.
        steps: Proposals there will be.
    """

    def __init__(self, trial: Trial, draws: list[np.random.Generator], steps: int) -> None:
        self.images, self.threat = trial.images, trial.threat
        shape = (steps, self.images.shape[1])
        self.first = self._tiles(draws)
        self.places = torch.from_numpy(np.stack([d.random((steps, 2, 2)) for d in draws]))
        signs = np.stack([d.integers(0, 2, shape) for d in draws])
        self.signs = 2.0 * torch.from_numpy(signs).to(self.images) - 1.0
        lies = np.stack([d.integers(0, 2, steps) for d in draws]).astype(bool)
        self.lies = torch.from_numpy(lies).to(self.images.device)

    def start(self) -> Float[Tensor, "N C H W"]:
        """Hills side by side, of random sign."""
        return self._at_the_edge(self.first)

    def propose(
        self, best: Float[Tensor, "N C H W"], step: int, share: float
    ) -> Float[Tensor, "N C H W"]:
        """The next point to try from the best one; windows cover about that share."""
        change = (best - self.images).flatten(2)
        side = self._side(share)
        ours, theirs = (self._window(self.places[:, step, k], side) for k in range(2))
        old = _at(change, ours)
        grown = self._hills(step, side) + old / (TINY + _length(old))
        both = torch.zeros_like(change[:, :1]).scatter(2, ours, 1.0).scatter(2, theirs, 1.0)
        spare = (self.threat.radius**2 - change.square().sum((1, 2))).clamp(min=0)
        spent = (change.square() * both).sum(2) + spare[:, None] / change.shape[1]
        grown = grown / (TINY + _length(grown)) * spent.sqrt()[:, :, None]
        wide = (-1, change.shape[1], -1)
        moved = change.scatter(2, theirs.expand(wide), 0.0).scatter(2, ours.expand(wide), grown)
        return self._at_the_edge(moved.view_as(best))

    def _at_the_edge(self, change: Tensor) -> Tensor:
        grown = self.threat.radius * NORMS["l2"].steepest(change)
        return (self.images + grown).clamp(0.0, self.threat.top)

    def _side(self, share: float) -> int:
        """Odd, as heaps have a middle, where the image leaves room for it."""
        height, width = self.images.shape[2:]
        side = max(round((share * height * width) ** 0.5), SMALLEST)
        return min(side + 1 - side % 2, height, width)

    def _window(self, place: Float[Tensor, "N 2"], side: int) -> Int64[Tensor, "N 1 pixels"]:
        """Pixels of a square a sample, counted by rows."""
        height, width = self.images.shape[2:]
        corners = (place * torch.tensor([height - side + 1, width - side + 1])).long()
        along = torch.arange(side)
        rows, columns = (corners[:, k, None] + along for k in range(2))
        pixels = rows[:, :, None] * width + columns[:, None, :]
        return pixels.flatten(1)[:, None].to(self.images.device)

    def _hills(self, step: int, side: int) -> Float[Tensor, "N C pixels"]:
        """A hill a sample, lying or standing, with a sign a channel."""
        hill = hill_of(side).to(self.images)
        hills = torch.where(self.lies[:, step, None, None], hill.T, hill)
        return hills.flatten(1)[:, None] * self.signs[:, step, :, None]

    def _tiles(self, draws: list[np.random.Generator]) -> Float[Tensor, "N C H W"]:
        """Whole tiles, in the middle; the rest of the image does not change."""
        channels, height, width = self.images.shape[1:]
        side = max(min(height, width) // TILES, 1)
        rows, columns = height // side, width // side
        shape = (channels, rows, columns)
        signs = np.stack([2.0 * d.integers(0, 2, shape) - 1.0 for d in draws])
        lies = np.stack([d.integers(0, 2, (1, rows, columns)) for d in draws]).astype(bool)
        hill = hill_of(side).numpy()
        tiles = np.where(lies[..., None, None], hill.T, hill) * signs[..., None, None]
        joined = tiles.swapaxes(3, 4).reshape(len(draws), channels, rows * side, columns * side)
        found = torch.zeros_like(self.images)
        top, left = (height - rows * side) // 2, (width - columns * side) // 2
        found[:, :, top : top + rows * side, left : left + columns * side] = torch.from_numpy(
            joined
        )
        return found


def hill_of(side: int) -> Float[Tensor, "side side"]:
    """Two heaps of opposite sign, one above the other, of length 1 together."""
    upper = side // 2
    hill = torch.zeros(side, side)
    hill[:upper], hill[upper:] = _heap(upper, side), -_heap(side - upper, side)
    return hill / hill.norm()


def _heap(rows: int, columns: int) -> Float[Tensor, "rows columns"]:
    """Σ 1/k² over rectangles that grow from the middle by one pixel each way; of length 1."""
    heap = torch.zeros(rows, columns)
    top, left = rows // 2, columns // 2
    for k in range(max(top, left) + 1):
        heap[max(top - k, 0) : top + k + 1, max(left - k, 0) : left + k + 1] += 1 / (k + 1) ** 2
    return heap / heap.norm().clamp(min=TINY)


def _at(change: Tensor, window: Tensor) -> Tensor:
    return change.gather(2, window.expand(-1, change.shape[1], -1))


def _length(window: Tensor) -> Tensor:
    return window.norm(dim=2, keepdim=True)
