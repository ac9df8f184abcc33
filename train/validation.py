"""Accuracy on images that training does not see, clean and under PGD."""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from ..attacks.lattice import ThreatModel, uniform_start
from ..attacks.loss import is_fooled
from ..attacks.pgd import pgd_steps
from ..core.randomness import generator
from .target import frozen
from .team import ALONE, Team

BATCH = 128


def accuracy(
    network: nn.Module,
    images: Float[Tensor, "N C H W"],
    labels: Int64[Tensor, " N"],
    *,
    team: Team = ALONE,
) -> float:
    """Share of images classified right, in evaluation mode; processes take turns at batches."""
    right = 0
    with frozen(network):
        for _, x, y in _batches(images, labels, team):
            right += int(_right(network, x, y).sum())
    return team.total(right, images.device) / len(images)


def robust_accuracy(
    network: nn.Module,
    images: Float[Tensor, "N C H W"],
    labels: Int64[Tensor, " N"],
    *,
    epsilon: float,
    steps: int,
    seed: int,
    team: Team = ALONE,
) -> float:
    """Share of images classified right both clean and at PGD's last iterate.

    PGD on the 8-bit lattice from one random start, whose steps add up to 2.5·epsilon. The starts
    are the same at every call, so epochs can be compared.
    """
    threat = ThreatModel(epsilon=epsilon, lattice=True)
    kept = 0
    with frozen(network):
        for first, x, y in _batches(images, labels, team):
            draws = [generator(seed, "validation", first + i) for i in range(len(x))]
            attacked = pgd_steps(
                network,
                x,
                y,
                start=uniform_start(x, threat=threat, draws=draws),
                epsilon=epsilon,
                step_size=2.5 * epsilon / steps,
                steps=steps,
                lattice=True,
            )
            kept += int((_right(network, x, y) & _right(network, attacked, y)).sum())
    return team.total(kept, images.device) / len(images)


def _batches(images: Tensor, labels: Tensor, team: Team) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Place of the first sample, images and labels of each batch that is this process's."""
    for first in range(team.rank * BATCH, len(images), team.world * BATCH):
        yield first, images[first : first + BATCH], labels[first : first + BATCH]


@torch.no_grad()
def _right(network: nn.Module, x: Tensor, labels: Tensor) -> Bool[Tensor, " N"]:
    return ~is_fooled(network(x), labels)
