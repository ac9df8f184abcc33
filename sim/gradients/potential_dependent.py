"""PDSG: a surrogate as wide as membranes are spread."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .whole_train import Reset, WholeTrain, steered


@dataclass(frozen=True, kw_only=True)
class PotentialDependent(WholeTrain):
    """φ_t = N(z; σ_t/2, σ_t²), z = h/θ − 1 (Lun et al. 2025, PDSG); backward as `Surrogate`.

    σ_t is the deviation of z over the steps 1..t and over space: per channel of a convolution, per
    layer else; where it is 0, 1. It carries no gradient. The published σ_t is over the batch too,
    so that removing a sample changes the others; ours is that of each sample alone.
    """

    name: str = "pdsg"
    reset: Reset = "attached"

    def backward(
        self,
        grad: Float[Tensor, "T *axes"],
        h: Float[Tensor, "T *axes"],
        *,
        theta: float | Tensor,
        decay: float | Tensor,
    ) -> Float[Tensor, "T *axes"]:
        """Gradient with respect to the neuron's input; arguments as `StepByStep.backward`.

        The axes are `[T, N, C, H, W]` or `[T, N, F]`.
        """
        z = h / theta - 1.0
        sigma = spread(z)
        normal = torch.exp(-0.5 * ((z - sigma / 2) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))
        return steered(grad, h, normal / theta, theta=theta, decay=decay, reset=self.reset)


def spread(z: Float[Tensor, "T *axes"]) -> Float[Tensor, "T *ones"]:
    """Deviation of each sample's values up to each step, n − 1 in the denominator; 1 for 0.

    Args:
        z: `[T, N, C, H, W]` gives one a channel, `[T, N, F]` one for all; broadcastable to `z`.
    """
    axes = tuple(range(3 if z.ndim == 5 else 2, z.ndim))
    wide = z.double()
    count = math.prod(z.shape[axis] for axis in axes)
    steps = torch.arange(1, len(z) + 1, device=z.device).view(-1, *[1] * (z.ndim - 1)) * count
    total, squares = (x.sum(axes, keepdim=True).cumsum(0) for x in (wide, wide**2))
    variance = (squares - total**2 / steps).clamp(min=0) / (steps - 1).clamp(min=1)
    # Rounding of the sums leaves a little where all values are equal.
    is_flat = variance <= 1e-12 * squares / steps
    return torch.where(is_flat, 1.0, variance.sqrt()).to(z)
