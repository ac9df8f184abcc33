"""One-step attacks: FGSM (Goodfellow et al. 2015), and R+FGSM (Tramèr et al. 2018)."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch

from .attack import Attack
from .lattice import LEVELS, ThreatModel
from .pgd import climb
from .trial import Trial


@dataclass(frozen=True, kw_only=True)
class FGSM(Attack):
    """x + ε·sign ∇ₓ CE(x, y), clipped; in other norms ε times the steepest step.

    No random start.
    """

    steps: int = field(default=1, init=False)
    step_size: None = field(default=None, init=False)
    is_random: ClassVar[bool] = False
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2", "l1")

    def _run(self, trial: Trial, draws: list[np.random.Generator]) -> None:
        del draws
        _, gradient = trial.differentiate(trial.images)
        size = trial.threat.radius
        trial.judge(
            climb(trial.images, gradient, images=trial.images, threat=trial.threat, step_size=size)
        )


@dataclass(frozen=True, kw_only=True)
class RFGSM(Attack):
    """x' = clip(x + α·sign N(0, 1)), then one step of size ε − α from x'.

    α = ε/2, on the lattice ⌊E/2⌋ levels. Libraries disagree on α; this one fits the published
    results (a vanilla network falls below FGSM, a robust one stays above).
    """

    steps: int = field(default=1, init=False)
    step_size: None = field(default=None, init=False)

    def _run(self, trial: Trial, draws: list[np.random.Generator]) -> None:
        images, threat = trial.images, trial.threat
        alpha = _half(threat)
        shape = tuple(images.shape[1:])
        signs = np.stack([np.sign(draw.standard_normal(shape)) for draw in draws])
        start = threat.project(images + alpha * torch.from_numpy(signs).to(images), images)
        _, gradient = trial.differentiate(start)
        size = threat.radius - alpha
        trial.judge(climb(start, gradient, images=images, threat=threat, step_size=size))


def _half(threat: ThreatModel) -> float:
    return threat.levels // 2 / LEVELS if threat.lattice else threat.epsilon / 2
