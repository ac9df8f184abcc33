"""BPTR: straight through every neuron that fired at all."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .through_time import StepBack, StepByStep


@dataclass(frozen=True, kw_only=True)
class FiredOnce(StepByStep):
    """Backward pass through rate (Ding et al. 2022, RAT): ∂L/∂x_t = g_t·[mean_t s_t > 0].

    No gradient through time and none through the reset.
    """

    name: str = "bptr"

    def unroll(
        self, h: Float[Tensor, "T *axes"], *, theta: float | Tensor, decay: float | Tensor
    ) -> StepBack:
        """The same step by step; arguments as `backward`."""
        del decay
        fired = (h > theta).any(0).to(h)

        def step(t: int, grad: Tensor, out: Tensor) -> None:
            del t
            torch.mul(grad, fired, out=out)

        return step
