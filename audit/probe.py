"""Does the gradient know which way the loss rises? Asked with random directions, not by attacking.

A direction r of random signs changes the loss by L(x + εr) − L(x − εr); the gradient g predicts the
sign of that by g·(x⁺ − x⁻). Attacks that fail for another reason than masked gradients (too few
steps, a robust network) do not disturb the comparison.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ..attacks.lattice import ThreatModel, random_corner
from ..attacks.loss import cross_entropy, input_gradient
from ..attacks.target import Target
from ..core.randomness import generator

DIRECTIONS = 8
LEAST_LEVEL = 16
"""Smaller balls move so few spikes that most of the measured changes are none."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What random directions do: the change of the image, and that of the loss that follows."""

    image: Float[Tensor, "N C H W"]
    loss: Float[Tensor, " N"]


def changes(
    target: Target,
    images: Float[Tensor, "N C H W"],
    labels: Int64[Tensor, " N"],
    *,
    threat: ThreatModel,
    keys: Int64[Tensor, " N"],
    seed: int,
) -> list[Change]:
    """Losses at opposite corners of the ball, at least 16/255 away; arguments as of an attack."""
    least = threat.wider(LEAST_LEVEL, images[0].numel())
    wide = replace(threat, epsilon=max(threat.radius, least), lattice=True)
    found = []
    for number in range(DIRECTIONS):
        draws = [generator(seed, "probe", number, key) for key in keys.tolist()]
        corner = random_corner(images, threat=wide, draws=draws)
        opposite = wide.see(wide.project(2 * images - corner, images), images)
        with torch.no_grad():
            up, down = (cross_entropy(target(x), labels) for x in (corner, opposite))
        found.append(Change(image=corner - opposite, loss=up - down))
    return found


def misled(
    target: Target,
    images: Float[Tensor, "N C H W"],
    labels: Int64[Tensor, " N"],
    *,
    found: list[Change],
) -> tuple[Int64[np.ndarray, " N"], Int64[np.ndarray, " N"]]:
    """By sample: directions that change the loss, and those of which the gradient says otherwise.

    A gradient of zero says nothing, which counts as otherwise.
    """
    _, gradient = input_gradient(target, images, labels, see=lambda x: x)
    moved = torch.stack([change.loss for change in found])
    said = torch.stack([(gradient * change.image).flatten(1).sum(1) for change in found])
    counts = (moved != 0), (moved != 0) & (said * moved <= 0)
    moving, wrong = (count.sum(0).cpu().numpy() for count in counts)
    return moving, wrong
