"""Random points and random corners of the ball: the yardsticks for suspicious gradients."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from .attack import Attack
from .lattice import random_corner, uniform_start
from .norms import NORMS
from .trial import Trial


@dataclass(frozen=True, kw_only=True)
class Noise(Attack):
    """x + U(−ε, ε), clipped; on the lattice whole levels. Every restart is one more draw."""

    steps: int = field(default=0, init=False)
    step_size: None = field(default=None, init=False)
    takes_gradients: ClassVar[bool] = False
    norms: ClassVar[tuple[str, ...]] = tuple(NORMS)

    def _run(self, trial: Trial, draws: list[np.random.Generator]) -> None:
        trial.judge(uniform_start(trial.images, threat=trial.threat, draws=draws))


@dataclass(frozen=True, kw_only=True)
class Corners(Attack):
    """x + ε·s with random signs s, clipped: what FGSM is without a gradient.

    Points inside the ball are far weaker than its corners, so that a useless gradient still beats
    uniform noise; it does not beat these.
    """

    steps: int = field(default=0, init=False)
    step_size: None = field(default=None, init=False)
    takes_gradients: ClassVar[bool] = False
    norms: ClassVar[tuple[str, ...]] = tuple(NORMS)

    def _run(self, trial: Trial, draws: list[np.random.Generator]) -> None:
        trial.judge(random_corner(trial.images, threat=trial.threat, draws=draws))
