"""Integer neurons over time in an ONNX graph: one Scan, of the same size for every T.

The rules are those of `sim.fixed_point`; ranges decide which of its wraps and clips can occur at
all, and only those are written.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..sim.fixed_point import DECAY_BITS, STATE_MAX
from ..sim.integer_neuron import RAIL
from ..sim.per_neuron import PerNeuron
from ..sim.program import DECAY_UNITY, STATE_SHIFT, Population
from . import whole
from .onnx_scope import Scope, Value
from .whole import INT32_HIGH, INT32_LOW, Whole

CORRECTED = 3 * STATE_MAX
"""From here on one correction does not bring u back."""


@dataclass(frozen=True, kw_only=True)
class State:
    """Registers of a population within a step, `[N, *shape]`; u is None where it keeps nothing."""

    u: Whole | None
    v: Whole | None


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """What one step made: registers after it, h = v before its reset, and spikes in uint8."""

    state: State
    u: Whole
    h: Whole
    v: Whole
    spikes: Value


def at_rest(scope: Scope, population: Population, *, peak: int, shape: Value) -> State:
    """Registers of 0, with the ranges that hold at every step.

    Args:
        scope: Where to write.
        population: Its parameters.
        peak: Greatest |activation|.
        shape: `[N, *shape]`.
    """
    u = _u_range(population, peak) if np.any(population.du != DECAY_UNITY) else None
    v = (-RAIL, RAIL) if np.any(population.dv != DECAY_UNITY) else None
    return State(u=_zeros(scope, u, shape), v=_zeros(scope, v, shape))


def advance(
    scope: Scope, population: Population, state: State, activation: Whole, due: Value | None
) -> Stepped:
    """One step of `sim.fixed_point.step`, with spike and reset.

    Args:
        scope: The body of a Scan.
        population: Its parameters.
        state: Registers before the step.
        activation: What arrives in it.
        due: Whether the step clears the registers before it integrates; None for never.
    """
    u, v = (_cleared(scope, register, due) for register in (state.u, state.v))
    arrived = whole.wrapped(scope, activation, 32)
    current = whole.wrapped(scope, whole.times(scope, arrived, 1 << STATE_SHIFT), 32)
    kept_u = _decayed(scope, u, population.du)
    current = current if kept_u is None else whole.add(scope, kept_u, current)
    new_u = _corrected(scope, whole.wrapped(scope, current, 32))
    kept_v = _decayed(scope, v, population.dv)
    level = new_u if kept_v is None else whole.wrapped(scope, whole.add(scope, kept_v, new_u), 32)
    if population.bias is not None:
        level = whole.wrapped(scope, whole.add(scope, level, _bias(scope, population)), 32)
    h = whole.clipped(scope, level, -RAIL, RAIL)
    fired = whole.is_above(scope, h, population.vth << STATE_SHIFT)
    after = whole.chosen(scope, fired, whole.constant(scope, np.zeros((), np.int64)), h)
    return Stepped(
        state=State(u=_carried(scope, state.u, new_u), v=_carried(scope, state.v, after)),
        u=new_u,
        h=h,
        v=after,
        spikes=scope.cast(fired, np.uint8),
    )


def _u_range(population: Population, peak: int) -> tuple[int, int]:
    """Where u stays: in 24 bits while one correction always suffices, else in 32."""
    reach = STATE_MAX + (peak << STATE_SHIFT)
    is_decay = np.min(population.du) >= 0 and np.max(population.du) <= DECAY_UNITY
    if is_decay and reach < CORRECTED:
        return 1 - STATE_MAX, STATE_MAX
    return INT32_LOW, INT32_HIGH


def _zeros(scope: Scope, span: tuple[int, int] | None, shape: Value) -> Whole | None:
    if span is None:
        return None
    low, high = span
    return Whole(name=scope.zeros(shape, np.int32), low=low, high=high, dtype=np.int32)


def _cleared(scope: Scope, register: Whole | None, due: Value | None) -> Whole | None:
    if register is None or due is None:
        return register
    return whole.chosen(scope, due, whole.constant(scope, np.zeros((), np.int64)), register)


def _decayed(scope: Scope, register: Whole | None, rate: PerNeuron) -> Whole | None:
    """x·(2¹² − rate) / 2¹², rounded towards zero, in 32 bits."""
    if register is None or not np.any(rate):
        return register
    product = whole.times(scope, register, DECAY_UNITY - rate)
    return whole.wrapped(scope, whole.towards_zero(scope, product, 1 << DECAY_BITS), 32)


def _corrected(scope: Scope, u: Whole) -> Whole:
    """Lava's overflow of u: one correction of 2²⁴, see `sim.fixed_point.wrap`."""
    if u.high > STATE_MAX:
        beyond = whole.is_above(scope, u, STATE_MAX)
        lower = _shifted(scope, u, -2 * STATE_MAX)
        u = replace(
            whole.chosen(scope, beyond, lower, u),
            low=min(u.low, 1 - STATE_MAX),
            high=max(STATE_MAX, u.high - 2 * STATE_MAX),
        )
    if u.low <= -STATE_MAX:
        inside = whole.is_above(scope, u, -STATE_MAX)
        higher = _shifted(scope, u, 2 * STATE_MAX)
        u = replace(
            whole.chosen(scope, inside, u, higher),
            low=min(1 - STATE_MAX, u.low + 2 * STATE_MAX),
            high=max(STATE_MAX, u.high),
        )
    return whole.narrowed(scope, u)


def _shifted(scope: Scope, x: Whole, amount: int) -> Whole:
    return whole.add(scope, x, whole.constant(scope, np.array(amount)))


def _bias(scope: Scope, population: Population) -> Whole:
    """The bias in 64ths, broadcastable to `[N, *shape]`; its mantissa shifted in 32 bits."""
    bias = np.asarray(population.bias, dtype=np.int64)
    full = np.broadcast_to(bias, np.broadcast_shapes(bias.shape, (1,) * len(population.shape)))
    return whole.constant(scope, (full << STATE_SHIFT).astype(np.int32).astype(np.int64))


def _carried(scope: Scope, before: Whole | None, after: Whole) -> Whole | None:
    """A register as the next step takes it: in the type and range it started with."""
    if before is None:
        return None
    assert before.low <= after.low
    assert after.high <= before.high
    return replace(whole.held_in(scope, after, before.dtype), low=before.low, high=before.high)
