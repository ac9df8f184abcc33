"""What all attacks share: their options, their call, and the randomness that is theirs."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ..core.errors import ConfigError, DataError
from ..core.randomness import generator
from .lattice import LINF, ThreatModel
from .target import Target
from .trial import Attempt, Trial


@dataclass(frozen=True, kw_only=True)
class Attack(ABC):
    """An attack with its options; calling it attacks a batch.

    Args:
        name: Its key in the table of attacks; part of what decides its random draws.
        steps: Gradient steps of one restart.
        step_size: In input units; None where it follows from epsilon.
        restarts: Runs from fresh random starts; the draws of a restart do not depend on their
            number, so more of them never find less.
        estimator: Which spike derivative of the target to use; None for the one it has.

    Raises:
        ConfigError: If a number is out of range.
    """

    name: str
    steps: int
    step_size: float | None = None
    restarts: int = 1
    estimator: str | None = None

    is_random: ClassVar[bool] = True
    """Whether restarts differ."""
    takes_gradients: ClassVar[bool] = True
    """Whether the estimator matters."""
    needs_frames: ClassVar[bool] = False
    """Whether it changes events, so that epsilon does not matter and images cannot be attacked."""
    norms: ClassVar[tuple[str, ...]] = (LINF,)
    """In whose balls it searches."""
    counts_last: ClassVar[bool] = True
    """Whether its published definition counts the last point only, not any visited one."""

    def __post_init__(self) -> None:
        if self.steps < 0 or self.restarts < 1:
            raise ConfigError(
                f"expected steps >= 0 and restarts >= 1 for attack {self.name!r}, "
                f"got {self.steps} and {self.restarts}; raise them"
            )
        if self.step_size is not None and not 0 < self.step_size <= 1:
            raise ConfigError(
                f"expected a step size above 0 and up to 1 for attack {self.name!r}, "
                f"got {self.step_size}; give it in input units"
            )

    def __call__(
        self,
        target: Target,
        images: Float[Tensor, "N C H W"],
        labels: Int64[Tensor, " N"],
        *,
        threat: ThreatModel,
        keys: Int64[Tensor, " N"],
        seed: int,
        stop_when_all_fooled: bool = False,
    ) -> Attempt:
        """Attacks a batch; what a sample gets depends on its image, label and key alone.

        Args:
            target: The model under attack.
            images: Originals, float32 or float64.
            labels: Their classes.
            threat: Which images are lawful.
            keys: Identity of each sample, 0 or more: with `seed` it decides the random draws.
            seed: 0 or more.
            stop_when_all_fooled: Ends early once every sample of the batch has been fooled. Then
                `fooled_any` and `broken` are those of the full run; the rest depends on the batch.

        Raises:
            ConfigError: If the target does not have the estimator, the attack not the norm, or the
                seed is negative.
            DataError: If the inputs do not fit together, or the target returns what is not finite.
        """
        if seed < 0:
            raise ConfigError(f"expected a seed of 0 or more, got {seed}; choose another")
        _check_batch(images, labels, keys)
        if not self.searches(threat.norm):
            raise ConfigError(
                f"expected another norm than {threat.norm} for attack {self.name!r}, which does "
                "not search its balls; choose another attack"
            )
        if self.needs_frames:
            threat.require_cells()
        threat.check(images)
        trial = Trial(
            self._chosen(target),
            images,
            labels,
            threat=threat,
            keys=keys,
            stop_when_all_fooled=stop_when_all_fooled,
        )
        for restart in range(self.restarts):
            self._run(trial, self._draws(seed, restart, keys))
            trial.end_restart()
            if trial.is_over:
                break
            # What an estimator has learnt in one restart, it does not take into the next.
            trial.target = self._chosen(target)
        return trial.attempt()

    def searches(self, norm: str) -> bool:
        """Whether it searches the balls of a norm; a stated step size is one of linf."""
        return norm in self.norms and (norm == LINF or self.step_size is None)

    @property
    def budget(self) -> str | None:
        """What it may change at most, in words; None where that is the ball of the threat model."""
        return None

    def _chosen(self, target: Target) -> Target:
        return target if self.estimator is None else target.using(self.estimator)

    @abstractmethod
    def _run(self, trial: Trial, draws: list[np.random.Generator]) -> None:
        """Visits the points of one restart; `draws` holds a generator a sample if it is random."""

    def _draws(self, seed: int, restart: int, keys: Tensor) -> list[np.random.Generator]:
        if not self.is_random:
            return []
        purpose = (self.name, self.estimator or "", restart)
        return [generator(seed, *purpose, key) for key in keys.tolist()]


def require_positive(attack: Attack, **numbers: int) -> None:
    """Refuses options below 1.

    Raises:
        ConfigError: Naming the first.
    """
    for name, value in numbers.items():
        if value < 1:
            raise ConfigError(
                f"expected {name} of at least 1 for attack {attack.name!r}, got {value}; raise it"
            )


def _check_batch(images: Tensor, labels: Tensor, keys: Tensor) -> None:
    if images.ndim != 4 or len(images) == 0 or images.dtype not in (torch.float32, torch.float64):
        raise DataError(
            "expected images [N, C, H, W] of float32 or float64 with N >= 1, "
            f"got {list(images.shape)} of {images.dtype}; convert them"
        )
    for what, values in (("labels", labels), ("keys", keys)):
        if values.shape != images.shape[:1] or values.dtype != torch.int64:
            raise DataError(
                f"expected {what} [{len(images)}] of int64, one an image, "
                f"got {list(values.shape)} of {values.dtype}; convert them"
            )
        if int(values.min()) < 0:
            raise DataError(
                f"expected {what} of 0 or more, got {int(values.min())}; number them from 0"
            )
