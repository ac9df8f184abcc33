"""SA-PGD (arXiv 2512.22522): PGD whose steps are scaled entry by entry, for spiking networks."""

from dataclasses import dataclass, field
from itertools import accumulate
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from .apgd import checkpoint_lengths
from .attack import Attack
from .lattice import uniform_start
from .loss import CROSS_ENTROPY, LOSSES
from .mifgsm import scaled
from .trial import Trial

MOMENTUM, VARIANCE = 0.5, 0.8
TINY = 1e-12


@dataclass(frozen=True, kw_only=True)
class SAPGD(Attack):
    """Any visited point that fooled counts.

        m ← 0.5·m + G/mean|G|;  q ← 0.8·q + G²/mean(G²)
        x ← Π(x + clip(η·m/(√q + 10⁻¹²), ±η))

    Means are over a sample's own entries. η starts at ε and halves at each checkpoint of APGD, come
    what may; nothing returns to the best point. A gradient of zero adds nothing to m and q, and
    `Attempt.zero_gradients` counts it. The authors stretch the random start until its largest entry
    is ε, which would leave the lattice.

    Args:
        loss: What is climbed, a name of `LOSSES`.
    """

    step_size: None = field(default=None, init=False)
    loss: str = CROSS_ENTROPY
    counts_last: ClassVar[bool] = False

    def _run(self, trial: Trial, draws: list[np.random.Generator]) -> None:
        images, threat = trial.images, trial.threat
        x = uniform_start(images, threat=threat, draws=draws)
        mean, square, size = torch.zeros_like(x), torch.zeros_like(x), threat.radius
        checkpoints = set(accumulate(checkpoint_lengths(self.steps)))
        for step in range(1, self.steps + 1):
            if trial.is_over:
                return
            _, gradient = trial.differentiate(x, loss=LOSSES[self.loss])
            mean = MOMENTUM * mean + scaled(gradient)
            square = VARIANCE * square + _squared(gradient)
            move = size * mean / (square.sqrt() + TINY)
            x = threat.project(x + move.clamp(-size, size), images)
            if step in checkpoints:
                size /= 2
        trial.judge(x)


def _squared(gradient: Tensor) -> Tensor:
    """G² over its mean; of the scaled gradient, since G² itself may underflow."""
    square = scaled(gradient).square()
    mean = square.flatten(1).mean(dim=1)[:, None, None, None]
    return torch.where(mean > 0, square / mean, 0.0)
