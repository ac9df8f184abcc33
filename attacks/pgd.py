"""Projected gradient descent (Madry et al. 2018): for evaluation, and for adversarial training."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from .attack import Attack
from .lattice import LEVELS, LINF, ThreatModel, uniform_start
from .loss import Loss, cross_entropy, input_gradient
from .norms import NORMS
from .target import Network
from .trial import Trial


@dataclass(frozen=True, kw_only=True)
class PGD(Attack):
    """PGD from a random start; published results count the last iterate.

        x ← Π(x + α·sign ∇ₓ CE(x, y))

    In other norms the step is the steepest one there (`norms.Norm`). With `step_size` None, α
    follows the ball: 2.5·ε/k (Madry et al. 2018), at least one level of 255, so that k steps can
    cross the whole of it. Liu et al. 2024 step 0.01 whatever ε and k are, which ten steps take to
    25/255 and no further.
    """

    norms: ClassVar[tuple[str, ...]] = tuple(NORMS)

    def _run(self, trial: Trial, draws: list[np.random.Generator]) -> None:
        x = uniform_start(trial.images, threat=trial.threat, draws=draws)
        size = self.step_in(trial.threat)
        for _ in range(self.steps):
            if trial.is_over:
                return
            _, gradient = trial.differentiate(x)
            x = climb(x, gradient, images=trial.images, threat=trial.threat, step_size=size)
        trial.judge(x)

    def step_in(self, threat: ThreatModel) -> float:
        """α in input units."""
        if self.step_size is not None:
            return self.step_size
        return max(threat.ball.step(threat.radius, self.steps), 1 / LEVELS)


def climb(
    x: Float[Tensor, "N C H W"],
    gradient: Float[Tensor, "N C H W"],
    *,
    images: Float[Tensor, "N C H W"],
    threat: ThreatModel,
    step_size: float,
) -> Float[Tensor, "N C H W"]:
    """One steepest step up the loss, of linf a signed one, back into the ball and the range.

    A sparse step passes over entries that stand at the end of the range they would leave: it would
    choose them again and again.
    """
    if threat.ball.is_sparse:
        has_room = torch.where(gradient > 0, x < threat.top, x > 0)
        gradient = gradient * has_room
    return threat.project(x + step_size * threat.ball.steepest(gradient), images)


def pgd_steps(
    target: Network,
    images: Float[Tensor, "N C H W"],
    labels: Int64[Tensor, " N"],
    *,
    start: Float[Tensor, "N C H W"],
    epsilon: float,
    step_size: float,
    steps: int,
    norm: str = LINF,
    lattice: bool = False,
    loss: Loss = cross_entropy,
) -> Float[Tensor, "N C H W"]:
    """The last iterate of PGD and nothing else: the inner loop of adversarial training.

    Keeps no record, checks no values and never waits for the device. Parameters get no gradient.

    Args:
        target: Differentiable, in the mode that the caller wants.
        images: Originals in [0, 1].
        labels: Their classes.
        start: First iterate, inside the ball.
        epsilon: Radius, in the norm's unit.
        step_size: In that unit.
        steps: Gradient steps.
        norm: Of the ball, a name of `norms.NORMS`.
        lattice: Whether the network sees, and the result is, a rounding to k/255.
        loss: What is climbed.

    Raises:
        ConfigError: If epsilon is out of range.
    """
    threat = ThreatModel(epsilon=epsilon, norm=norm, lattice=lattice)

    def see(x: Tensor) -> Tensor:
        return threat.see(x, images)

    x = start.detach()
    for _ in range(steps):
        _, gradient = input_gradient(target, x, labels, see=see, loss=loss)
        x = climb(x, gradient, images=images, threat=threat, step_size=step_size)
    return see(x)
