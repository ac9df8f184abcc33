"""How logits are read from an integer population in an ONNX graph, step by step."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..sim.integer_neuron import RAIL, UNIT
from ..sim.interface import Readout
from . import whole
from .integer_steps import Stepped
from .onnx_scope import Scope, Value
from .whole import Whole


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One way to read.

    Args:
        span: Least and greatest reading after T steps.
        update: The reading after a step, from that before it.
        unit: What is one of a logit's `scale`.
    """

    span: Callable[[int], tuple[int, int]]
    update: Callable[[Scope, Whole, Stepped], Whole]
    unit: float


def _last(scope: Scope, before: Whole, made: Stepped) -> Whole:
    del scope, before
    return made.h


def _sum(scope: Scope, before: Whole, made: Stepped) -> Whole:
    return whole.add(scope, before, made.h)


def _count(scope: Scope, before: Whole, made: Stepped) -> Whole:
    spikes = Whole(name=made.spikes, low=0, high=1, dtype=np.uint8)
    return whole.add(scope, before, spikes)


KINDS: dict[str, Kind] = {
    "membrane": Kind(span=lambda steps: (-RAIL, RAIL), update=_last, unit=1 / UNIT),
    "sum": Kind(span=lambda steps: (-RAIL * steps, RAIL * steps), update=_sum, unit=1 / UNIT),
    "spikes": Kind(span=lambda steps: (0, steps), update=_count, unit=1.0),
}
"""By the kind of a read-out: v before the reset is read, as the twin does."""


def unread(scope: Scope, kind: str, *, steps: int, shape: Value) -> Whole:
    """The reading before the first step."""
    low, high = KINDS[kind].span(steps)
    dtype = whole.dtype_for(low, high)
    return Whole(name=scope.zeros(shape, dtype), low=low, high=high, dtype=dtype)


def read(scope: Scope, kind: str, before: Whole, made: Stepped) -> Whole:
    """The reading after a step, in the range and type of the one before it."""
    after = whole.held_in(scope, KINDS[kind].update(scope, before, made), before.dtype)
    return replace(after, low=before.low, high=before.high)


def logits(scope: Scope, readout: Readout, reading: Whole) -> Value:
    """reading · scale in float32, `[N, K]`."""
    flat = scope.add("Flatten", scope.cast(reading.name, np.float32), axis=1)
    # The unit is a power of two, so this product is exact and only the next one rounds.
    units = scope.add("Mul", flat, _number(scope, KINDS[readout.kind].unit))
    return scope.add("Mul", units, _number(scope, readout.scale))


def _number(scope: Scope, value: float) -> Value:
    return scope.constant(np.array(value, dtype=np.float32))
