"""One multi-step float neuron: every step of a layer in one differentiable operation."""

from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ...core.choice import chosen
from ..gradients.estimators import Estimator
from ..gradients.whole_train import WholeTrain
from ..layout import Layout
from .compiled import Compiled
from .fused import Fused
from .in_triton import Triton

FUSED = "fused"
"""The kernel that all others have to equal."""


@runtime_checkable
class Kernel(Protocol):
    """How the equations of `integrate_and_fire` are computed, on a row of M neurons a step."""

    def forward(
        self,
        x: Float[Tensor, "T M"],
        *,
        theta: float | Tensor,
        decay: float | Tensor,
        keeps: bool,
    ) -> tuple[Float[Tensor, "T M"], Float[Tensor, "T M"] | None]:
        """Spikes, and where it `keeps` them the membranes before the reset.

        `theta` and `decay` are numbers or one value a neuron, `[M]`.
        """
        ...

    def backward(
        self,
        grad: Float[Tensor, "T M"],
        h: Float[Tensor, "T M"],
        *,
        theta: float | Tensor,
        decay: float | Tensor,
        estimator: Estimator,
        overwrites: bool,
    ) -> Float[Tensor, "T M"]:
        """Gradient with respect to the input, from that with respect to spikes, and membranes.

        Where it `overwrites`, nobody reads `h` again, and the gradient may take its place.
        """
        ...


KERNELS: dict[str, Kernel] = {FUSED: Fused(), "compiled": Compiled(), "triton": Triton()}
"""Equal spikes to the last bit, equal gradients but for the order of sums."""


def kernel(name: str) -> Kernel:
    """The kernel called `name`.

    Raises:
        ConfigError: If there is none.
    """
    return chosen(KERNELS, name, what="a neuron kernel")


def integrate_and_fire(
    x: Float[Tensor, "T *axes"],
    *,
    theta: float | Tensor,
    decay: float | Tensor = 1.0,
    estimator: Estimator,
    kernel_name: str = FUSED,
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
        kernel_name: A name of `KERNELS`; only `fused` takes one value per neuron.

    Returns:
        0.0 or 1.0, same axes, dtype and layout in memory as `x`.

    Raises:
        ConfigError: If the kernel is unknown, or cannot do with these values.
        MissingAbilityError: If the kernel needs what is not there.
    """
    spikes: Tensor = _MultiStep.apply(x, theta, decay, estimator, kernel(kernel_name))  # type: ignore[assignment]
    return spikes


class _MultiStep(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        theta: float | Tensor,
        decay: float | Tensor,
        estimator: Estimator,
        computed: Kernel,
    ) -> Tensor:
        layout = Layout.of(x)
        ctx.values = {"theta": _row(theta, layout), "decay": _row(decay, layout)}
        # The membrane before reset is all that any estimator needs: one tensor saved a layer.
        keeps = ctx.needs_input_grad[0]
        spikes, history = computed.forward(layout.rows(x), keeps=keeps, **ctx.values)
        if history is not None:
            ctx.save_for_backward(history)
        ctx.layout, ctx.estimator, ctx.kernel = layout, estimator, computed
        ctx.given = {"theta": theta, "decay": decay}
        return layout.train(spikes)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:  # type: ignore[override]
        (history,) = ctx.saved_tensors
        if isinstance(ctx.estimator, WholeTrain):
            h = ctx.layout.train(history)
            return ctx.estimator.backward(grads[0], h, **ctx.given), None, None, None, None
        grad = ctx.layout.rows(grads[0])
        how = {"estimator": ctx.estimator, "overwrites": not _is_retained()}
        found = ctx.kernel.backward(grad, history, **how, **ctx.values)
        return ctx.layout.train(found), None, None, None, None


def _is_retained() -> bool:
    """Whether the backward pass that runs leaves the graph to another one (`retain_graph`)."""
    # As torch's own compiler asks; the name is private, and a torch without it saves no memory.
    private = getattr(torch._C, "_autograd", None)
    asks = getattr(private, "_get_current_graph_task_keep_graph", None)
    return asks is None or asks()


def _row(value: float | Tensor, layout: Layout) -> float | Tensor:
    """One value a neuron in the order of memory, or the number that it is."""
    if not isinstance(value, Tensor):
        return value
    return layout.rows(value.expand(layout.shape)[None])[0]
