"""Nodes with a memory as ONNX nodes in float32: a Scan runs all steps of a layer."""

from collections.abc import Callable

import numpy as np
import torch

from ..sim.graph.layers import MembraneLayer, NeuronLayer
from .onnx_scope import Scope, Value

STEEP = 2.0**100
LEAST, MOST = 2.0**-70, 2.0**20
"""Thresholds θ for which float32 holds STEEP·θ, and STEEP·(h − θ) is at least 1 for every h > θ."""

Step = Callable[[Scope, list[Value], Value], tuple[list[Value], Value]]
"""From states and what arrives at one step to new states and what is sent."""


def neurons(
    scope: Scope, layer: NeuronLayer | MembraneLayer, x: Value, *, steps: int, moves: bool
) -> Value:
    """What a node with a memory sends, `[T, N, *shape]`.

    Args:
        scope: Where it is written.
        layer: Its equations.
        x: What arrives, `[B, *shape]`: B is T·N where it `moves` from step to step, else N.
        steps: T.
        moves: Whether x is another one at each step.
    """
    states, step = _STEPS[type(layer)](layer)
    if not _is_one(layer.gain) and states == 1:
        x = scope.add("Mul", x, scope.constant(_float32(layer.gain)))
    shape = scope.integers(steps if moves else 1, -1, *layer.shape)
    train = scope.add("Reshape", x, shape)
    start = scope.zeros(scope.add("Shape", train, start=1), np.float32)
    constant = None if moves else scope.add("Squeeze", train, scope.integers(0))
    # A Scan counts its steps along an input.
    scanned = train if moves else scope.zeros(scope.integers(steps), np.bool_)

    def body(
        inner: Scope, before: list[Value], now: list[Value]
    ) -> tuple[list[Value], list[Value]]:
        after, sent = step(inner, before, constant or now[0])
        return after, [sent]

    _, (sent,) = scope.scan([start] * states, [scanned], body)
    return sent


def _plain(layer: NeuronLayer) -> tuple[int, Step]:
    """h ← λ·v + g·x;  s = [h > θ];  v ← h·(1 − s). The state is −v: one operation resets it."""

    def step(scope: Scope, before: list[Value], x: Value) -> tuple[list[Value], Value]:
        negative = scope.add("Sub", _scaled(scope, before[0], layer.decay), x)
        after, fired = _fire(scope, negative, layer.theta)
        return [after], fired

    return 1, step


def _fire(scope: Scope, negative: Value, theta: float | torch.Tensor) -> tuple[Value, Value]:
    """−v after the reset, and spikes, of −h: exact in every bit, in the fewest passes over memory.

    ThresholdedRelu keeps −h where it is above −θ⁺, with θ⁺ the float32 behind θ: where h <= θ.
    HardSigmoid cuts STEEP·(h − θ), whose only rounding keeps its sign, to 0..1. One value a neuron
    takes a comparison and a selection, which cost half as much again.
    """
    if isinstance(theta, float) and LEAST <= theta <= MOST:
        behind = np.nextafter(np.float32(theta), np.float32(np.inf))
        after = scope.add("ThresholdedRelu", negative, alpha=-float(behind))
        steep = {"alpha": -STEEP, "beta": -STEEP * float(np.float32(theta))}
        return after, scope.add("HardSigmoid", negative, **steep)
    fired = scope.add("Less", negative, scope.constant(_float32(-theta)))
    after = scope.add("Where", fired, scope.constant(np.zeros((), np.float32)), negative)
    return after, scope.cast(fired, np.float32)


def _any(layer: MembraneLayer) -> tuple[int, Step]:
    """The equations of `MembraneLayer`; the current is a state where it outlives its step."""
    has_current = bool(np.any(_float32(layer.synapse)))

    def step(scope: Scope, before: list[Value], x: Value) -> tuple[list[Value], Value]:
        arriving, currents = x, []
        if has_current:
            currents = [scope.add("Add", _scaled(scope, before[1], layer.synapse), x)]
            arriving = _scaled(scope, currents[0], layer.gain)
        h = scope.add("Add", _scaled(scope, before[0], layer.decay), arriving)
        if layer.theta is None:
            return [h, *currents], scope.add("Add", h, scope.constant(_float32(layer.rest)))
        fired = scope.add("Greater", h, scope.constant(_float32(layer.theta)))
        if layer.drop is None:
            back = scope.constant(_float32(layer.reset))
        else:
            back = scope.add("Sub", h, scope.constant(_float32(layer.drop)))
        after = scope.add("Where", fired, back, h)
        return [after, *currents], scope.cast(fired, np.float32)

    return 2 if has_current else 1, step


_STEPS: dict[type, Callable[..., tuple[int, Step]]] = {NeuronLayer: _plain, MembraneLayer: _any}
"""Each answers with the number of its states, the membrane first, and what it does at a step."""


def _scaled(scope: Scope, x: Value, factor: float | torch.Tensor) -> Value:
    return x if _is_one(factor) else scope.add("Mul", x, scope.constant(_float32(factor)))


def _is_one(factor: float | torch.Tensor) -> bool:
    return isinstance(factor, float) and factor == 1


def _float32(value: float | torch.Tensor) -> np.ndarray:
    return np.asarray(value, dtype=np.float32)
