"""Nodes with a memory, one step at a time: what no multi-step kernel covers, and loops."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..gradients.estimators import Estimator
from ..gradients.surrogate import Surrogate
from .layers import (
    DelayLayer,
    Layer,
    LinearLayer,
    MembraneLayer,
    NeuronLayer,
    as_membrane,
)

Step = Callable[[Tensor], Tensor]
"""What arrives at one step, `[N, *shape]`, to what leaves at that step."""


def run(
    layer: MembraneLayer | DelayLayer, x: Float[Tensor, "T N *axes"], estimator: Estimator
) -> Float[Tensor, "T N *axes"]:
    """All steps of a node from its initial state, differentiable."""
    step = stepper(layer, estimator)
    return torch.stack([step(now) for now in x])


def stepper(layer: Layer, estimator: Estimator) -> Step:
    """The node from its initial state on, called once a step."""
    return _STEPPERS[type(layer)](layer, estimator)


def neuron_step(
    h: Float[Tensor, "N *axes"], layer: MembraneLayer, estimator: Estimator
) -> tuple[Tensor, Tensor]:
    """Spikes, and the membrane after its reset.

    The reset is differentiated, or not, as the estimator says of its own.
    """
    spikes: Tensor = _Spike.apply(h, layer.theta, estimator)  # type: ignore[assignment]
    is_attached = not isinstance(estimator, Surrogate) or estimator.reset == "attached"
    fired = spikes if is_attached else spikes.detach()
    if layer.drop is not None:
        return spikes, h - layer.drop * fired
    return spikes, h * (1.0 - fired) + layer.reset * fired


def _membrane(layer: MembraneLayer, estimator: Estimator) -> Step:
    current: Tensor | None = None
    v: Tensor | None = None

    def step(x: Tensor) -> Tensor:
        nonlocal current, v
        current = x if current is None else current * layer.synapse + x
        h = current * layer.gain if v is None else v * layer.decay + current * layer.gain
        if layer.theta is None:
            v = h
            return h + layer.rest
        spikes, v = neuron_step(h, layer, estimator)
        return spikes

    return step


def _neuron(layer: NeuronLayer, estimator: Estimator) -> Step:
    return _membrane(as_membrane(layer), estimator)


def _delay(layer: DelayLayer, estimator: Estimator) -> Step:
    del estimator
    past: list[Tensor] = []
    longest = layer.steps if isinstance(layer.steps, int) else int(layer.steps.max())

    def step(x: Tensor) -> Tensor:
        past.append(x)
        del past[: -longest - 1]
        if isinstance(layer.steps, int):
            return past[0] if len(past) > longest else torch.zeros_like(x)
        known = range(min(len(past), longest + 1))
        return sum((past[-1 - d] * (layer.steps == d) for d in known), torch.zeros_like(x))

    return step


def _linear(layer: LinearLayer, estimator: Estimator) -> Step:
    del estimator
    return lambda x: layer.apply(x[None])[0]


_STEPPERS: dict[type, Callable[[Any, Estimator], Step]] = {
    MembraneLayer: _membrane,
    NeuronLayer: _neuron,
    DelayLayer: _delay,
    LinearLayer: _linear,
}


def run_loop(
    order: Sequence[str],
    sources: dict[str, tuple[str, ...]],
    layers: dict[str, Layer],
    outside: dict[str, Tensor],
    *,
    steps: int,
    estimator: Estimator,
) -> dict[str, Tensor]:
    """Trains of all nodes of a loop.

    What a node with a memory sends into the loop arrives a step later, as on the chip; what it
    sends elsewhere, and what linear nodes send, arrives at once.

    Args:
        order: The loop's nodes; a linear one after the linear ones that feed it.
        sources: Who feeds each.
        layers: Each as it is run.
        outside: Trains from outside the loop, `[T, N, *shape]` or one step that stands for all.
        steps: T.
        estimator: How spikes are differentiated.
    """
    run_one = {name: stepper(layers[name], estimator) for name in order}
    is_late = {name for name in order if not isinstance(layers[name], LinearLayer)}
    count = next(iter(outside.values())).shape[1]
    like = next(iter(outside.values()))
    before = {name: like.new_zeros((count, *layers[name].shape)) for name in is_late}
    sent: dict[str, list[Tensor]] = {name: [] for name in order}
    for t in range(steps):
        now = dict(before)
        # Linear nodes first, from what was sent a step ago; then all that has a memory.
        for name in order:
            x = _arriving(sources[name], now, outside, t)
            sent[name].append(run_one[name](x))
            if name not in is_late:
                now[name] = sent[name][-1]
        before = {name: sent[name][-1] for name in is_late}
    return {name: torch.stack(train) for name, train in sent.items()}


def _arriving(
    sources: tuple[str, ...], now: dict[str, Tensor], outside: dict[str, Tensor], t: int
) -> Tensor:
    found = [now[s] if s in now else outside[s][t if len(outside[s]) > 1 else 0] for s in sources]
    total = found[0]
    for value in found[1:]:
        total = total + value
    return total


class _Spike(torch.autograd.Function):
    """[h > θ] of one step, its derivative the estimator's."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, theta: float | Tensor, estimator: Estimator) -> Tensor:
        ctx.save_for_backward(h)
        ctx.theta, ctx.estimator = theta, estimator
        return (h > theta).to(h.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (h,) = ctx.saved_tensors
        slope = ctx.estimator.backward(grads[0][None], h[None], theta=ctx.theta, decay=1.0)
        return slope[0], None, None
