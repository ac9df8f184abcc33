"""The rate gradient approximation: a neuron's derivative is the slope of its rate curve."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .through_time import StepBack, StepByStep


@dataclass(frozen=True, kw_only=True)
class RateGradient(StepByStep):
    """RGA (Bu et al. 2023): no gradient through time and none through the reset.

        ∂L/∂x_t = g_t · r(x̄)/θ,   x̄ = mean over T of x_t/θ
        r(x̄) = (1 − γ + γλ)/(1 + λ) where 1 − λ ≤ x̄ ≤ 2,  plus γ where 0 ≤ x̄ ≤ 1 − λ,  else 0

    the slope of a two-piece rate curve that reaches 1 at x̄ = 2. For an IF neuron (λ = 1) it is 0.5
    on [0, 2], and 0.5 + γ at exactly 0, where both pieces count.
    """

    name: str = "rga"
    gamma: float = 0.2

    def unroll(
        self, h: Float[Tensor, "T *axes"], *, theta: float | Tensor, decay: float | Tensor
    ) -> StepBack:
        """The same step by step; arguments as `backward`."""
        kept = h[:-1] * (h[:-1] <= theta)
        mean_input = (h.sum(0) - decay * kept.sum(0)) / (theta * h.shape[0])
        leak = 1.0 - torch.as_tensor(decay, dtype=h.dtype, device=h.device)
        main = (1.0 - self.gamma * leak) / (2.0 - leak)
        rate = main * ((mean_input >= leak) & (mean_input <= 2.0))
        slope = (rate + self.gamma * ((mean_input >= 0.0) & (mean_input <= leak))) / theta

        def step(t: int, grad: Tensor, out: Tensor) -> None:
            del t
            torch.mul(grad, slope, out=out)

        return step
