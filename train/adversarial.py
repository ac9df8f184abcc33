"""Adversarial training: each batch is attacked with PGD before it is learnt from."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from ..attacks.pgd import pgd_steps
from .target import frozen


@dataclass(frozen=True, kw_only=True)
class TrainingAttack:
    """PGD against the network as it stands: running batch statistics, weights frozen.

    Liu et al. 2024, Table 5: five steps of 0.01 within 2/255; the step is larger than the ball, so
    iterates lie on its corners.

    Args:
        epsilon, step_size: In input units.
        steps: Gradient steps.
    """

    epsilon: float
    step_size: float
    steps: int

    def __call__(
        self,
        network: nn.Module,
        images: Float[Tensor, "N C H W"],
        labels: Int64[Tensor, " N"],
        *,
        draws: torch.Generator,
    ) -> Float[Tensor, "N C H W"]:
        """Last iterates, from a uniform random start drawn on the CPU."""
        noise = torch.rand(images.shape, generator=draws, dtype=images.dtype)
        offset = (2.0 * noise - 1.0).to(images.device) * self.epsilon
        with frozen(network):
            return pgd_steps(
                network,
                images,
                labels,
                start=(images + offset).clamp(0.0, 1.0),
                epsilon=self.epsilon,
                step_size=self.step_size,
                steps=self.steps,
            )
