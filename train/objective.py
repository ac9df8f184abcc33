"""What a step of training minimises: cross-entropy where, and with which regulariser."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from .adversarial import TrainingAttack
from .config import TrainConfig
from .methods import method
from .sparsity import GradientSparsity

BatchAttack = Callable[..., Tensor]
"""`TrainingAttack`, or what is called like it."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The loss of a batch.

    With an attack, everything happens at the attacked images and the clean ones are never used
    (AT, SR*). Without a regulariser nothing is computed for it.
    """

    attack: BatchAttack | None = None
    sparsity: GradientSparsity | None = None

    def __call__(
        self,
        network: nn.Module,
        images: Float[Tensor, "N C H W"],
        labels: Int64[Tensor, " N"],
        *,
        draws: torch.Generator,
    ) -> Float[Tensor, ""]:
        """Mean loss, differentiable in the parameters.

        Args:
            network: In training mode.
            images: In [0, 1].
            labels: Their classes.
            draws: Randomness of attack starts, on the CPU.
        """
        x = images
        if self.attack is not None:
            x = self.attack(network, images, labels, draws=draws)
        if self.sparsity is not None:
            return self.sparsity.loss(network, x, labels)
        return functional.cross_entropy(network(x), labels)


def objective(config: TrainConfig) -> Objective:
    """The objective of a training; λ = 0 costs as much as no regulariser."""
    chosen = method(config.method)
    attack = TrainingAttack(
        epsilon=config.epsilon, step_size=config.attack_step_size, steps=config.attack_steps
    )
    sparsity = GradientSparsity(
        weight=config.sparsity_weight, step=config.sparsity_step, form=config.sparsity_form
    )
    return Objective(
        attack=attack if chosen.is_adversarial else None,
        sparsity=sparsity if chosen.is_sparse and config.sparsity_weight > 0 else None,
    )
