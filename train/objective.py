"""What a step of training minimises: an attack on the batch, then a loss."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from .adversarial import TrainingAttack
from .config import TrainConfig
from .gradient_penalty import GradientPenalty
from .methods import Method, method
from .orthogonality import Orthogonality
from .team import Share
from .trades import Trades

BatchAttack = Callable[..., Tensor]
"""`TrainingAttack`, or what is called like it."""
BatchLoss = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]
"""Of network, clean images, attacked images and labels; without an attack both images are one."""
AfterStep = Callable[..., None]
"""`Orthogonality`, or what is called like it."""


def cross_entropy(
    network: nn.Module,
    images: Float[Tensor, "N C H W"],
    attacked: Float[Tensor, "N C H W"],
    labels: Int64[Tensor, " N"],
) -> Float[Tensor, ""]:
    """Mean cross-entropy at the attacked images; the clean ones are never used."""
    del images
    return functional.cross_entropy(network(attacked), labels)


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The loss of a batch, and what happens to the weights after the step.

    Args:
        attack: Made before the loss; None for none.
        loss: AT and SR* take it at the attacked images alone, TRADES at both.
        after_step: None for nothing.
    """

    attack: BatchAttack | None = None
    loss: BatchLoss = cross_entropy
    after_step: AfterStep | None = None

    def __call__(
        self,
        network: nn.Module,
        images: Float[Tensor, "N C H W"],
        labels: Int64[Tensor, " N"],
        *,
        draws: torch.Generator,
        share: Share | None = None,
    ) -> Float[Tensor, ""]:
        """Mean loss, differentiable in the parameters.

        Args:
            network: In training mode.
            images: In [0, 1].
            labels: Their classes.
            draws: Randomness of attack starts, on the CPU.
            share: Which samples of a larger batch these are; None where they are all.
        """
        attacked = images
        if self.attack is not None:
            attacked = self.attack(network, images, labels, draws=draws, share=share)
        return self.loss(network, images, attacked, labels)


def objective(config: TrainConfig) -> Objective:
    """The objective of a training; a weight of 0 costs as much as no regulariser."""
    chosen = method(config.method)
    return Objective(
        attack=_attack(config, chosen) if chosen.attack else None,
        loss=_loss(config, chosen),
        after_step=Orthogonality(weight=config.orthogonality_weight)
        if chosen.is_orthogonal and config.orthogonality_weight > 0
        else None,
    )


def _attack(config: TrainConfig, chosen: Method) -> TrainingAttack:
    return TrainingAttack(
        epsilon=config.epsilon,
        step_size=config.attack_step_size,
        steps=config.attack_steps,
        kind="trades" if chosen.is_trades else config.attack,
    )


def _loss(config: TrainConfig, chosen: Method) -> BatchLoss:
    if chosen.is_trades:
        return Trades(weight=config.trades_weight)
    if chosen.penalty is None or config.penalty_weight == 0:
        return cross_entropy
    return GradientPenalty(
        weight=config.penalty_weight,
        height=chosen.penalty,
        step=config.penalty_step,
        form=config.penalty_form,
    )
