"""One multi-step float neuron: every step of a layer in one differentiable operation."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from .estimators import Estimator


def integrate_and_fire(
    x: Float[Tensor, "T *axes"],
    *,
    theta: float | Tensor,
    decay: float | Tensor = 1.0,
    estimator: Estimator,
) -> Float[Tensor, "T *axes"]:
    """Spikes of a layer of neurons with hard reset, over all time steps.

        h_t = λ·v_{t−1} + x_t;  s_t = [h_t > θ];  v_t = h_t·(1 − s_t);  v_0 = 0

    Equal to Norse's `iaf_feed_forward_step` (λ = 1), and to its `lif_box_feed_forward_step` fed
    with x/(1 − λ), looped over T.

    Args:
        x: Input, time first.
        theta: Threshold θ > 0, a number or one per neuron.
        decay: λ in (0, 1], a number or one per neuron.
        estimator: How the spike is differentiated.

    Returns:
        0.0 or 1.0, same axes and dtype as `x`.
    """
    spikes: Tensor = _MultiStep.apply(x, theta, decay, estimator)  # type: ignore[assignment]
    return spikes


class _MultiStep(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, theta: float | Tensor, decay: float | Tensor, estimator: Estimator
    ) -> Tensor:
        spikes = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        # The membrane before reset is all that any estimator needs: one tensor saved a layer.
        history = torch.empty_like(spikes) if ctx.needs_input_grad[0] else None
        v = torch.zeros_like(spikes[0])
        for t in range(x.shape[0]):
            leaked = v if isinstance(decay, float) and decay == 1.0 else v * decay
            h = torch.add(x[t], leaked, out=history[t] if history is not None else None)
            # A comparison written as 0.0 and 1.0 is vectorised; masks of booleans cost ten times.
            fired = torch.gt(h, theta, out=spikes[t])
            v = torch.addcmul(h, h, fired, value=-1.0)
        if history is not None:
            ctx.save_for_backward(history)
        ctx.theta, ctx.decay, ctx.estimator = theta, decay, estimator
        return spikes

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        (history,) = ctx.saved_tensors
        grad = ctx.estimator.backward(grads[0], history, theta=ctx.theta, decay=ctx.decay)
        return grad, None, None, None
