"""Momentum iterative FGSM (Dong et al. 2018): the iterative attack that transfers best."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from .attack import Attack
from .lattice import LEVELS
from .pgd import climb
from .trial import Trial


@dataclass(frozen=True, kw_only=True)
class MIFGSM(Attack):
    """m ← μ·m + ∇/mean|∇|;  x ← Π(x + α·sign m), from x itself, no random start.

    In the ℓ2 ball m/‖m‖₂ takes the place of the sign. α = ε/steps, at least one level of 255; a
    sample without a gradient keeps its momentum.
    """

    decay: float = 1.0
    is_random: ClassVar[bool] = False
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")

    def _run(self, trial: Trial, draws: list[np.random.Generator]) -> None:
        del draws
        images, threat = trial.images, trial.threat
        size = self.step_size or max(threat.radius / max(self.steps, 1), 1 / LEVELS)
        x, momentum = images, torch.zeros_like(images)
        for _ in range(self.steps):
            if trial.is_over:
                return
            _, gradient = trial.differentiate(x)
            momentum = self.decay * momentum + scaled(gradient)
            x = climb(x, momentum, images=images, threat=threat, step_size=size)
        trial.judge(x)


def scaled(gradient: torch.Tensor) -> torch.Tensor:
    """Each sample's gradient over its mean absolute entry; zeros stay zeros."""
    size = gradient.abs().flatten(1).mean(dim=1)[:, None, None, None]
    return torch.where(size > 0, gradient / size, 0.0)
