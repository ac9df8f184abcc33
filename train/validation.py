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

BATCH = 128


def accuracy(
    network: nn.Module, images: Float[Tensor, "N C H W"], labels: Int64[Tensor, " N"]
) -> float:
    """Share of images classified right, in evaluation mode."""
    with frozen(network):
        right = [_right(network, x, y) for x, y in _batches(images, labels)]
    return torch.cat(right).double().mean().item()


def robust_accuracy(
    network: nn.Module,
    images: Float[Tensor, "N C H W"],
    labels: Int64[Tensor, " N"],
    *,
    epsilon: float,
    steps: int,
    seed: int,
) -> float:
    """Share of images classified right both clean and at PGD's last iterate.

    PGD on the 8-bit lattice from one random start, whose steps add up to 2.5·epsilon. The starts
    are the same at every call, so epochs can be compared.
    """
    threat = ThreatModel(epsilon=epsilon, lattice=True)
    kept, first = [], 0
    with frozen(network):
        for x, y in _batches(images, labels):
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
            kept.append(_right(network, x, y) & _right(network, attacked, y))
            first += len(x)
    return torch.cat(kept).double().mean().item()


def _batches(images: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(images.split(BATCH), labels.split(BATCH), strict=True)


@torch.no_grad()
def _right(network: nn.Module, x: Tensor, labels: Tensor) -> Bool[Tensor, " N"]:
    return ~is_fooled(network(x), labels)
