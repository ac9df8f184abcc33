"""What the integers can never do: bounds over every lawful input, per population.

Three things separate the chip's registers from plain integers: u wraps at 24 bits, v is clipped
above and below. Bounds are interval arithmetic over all inputs in range and any spike pattern, so
they hold for images that nobody has seen, adversarial ones included.
"""

from dataclasses import asdict, dataclass

import numpy as np

from ..core.errors import RangeError
from ..sim.fixed_point import STATE_MAX
from ..sim.per_neuron import PerNeuron
from ..sim.program import DECAY_UNITY, STATE_SHIFT, VTH_MAX, Population, Program, Synapse

UNIT = 1 << STATE_SHIFT
RAIL = STATE_MAX - 1
BEYOND = float(1 << 60)
"""Bounds end here, far beyond every register."""


@dataclass(frozen=True, kw_only=True)
class Margins:
    """Values of a register (its least significant bits) between a bound and its rail.

    A weight of 1 brings 64 of them. Below 0 where the bound lies beyond.

    Args:
        u_wrap: From |u| to 2²³, where it wraps.
        positive_clip: From v to its clip; of a read-out to its threshold, where that comes first.
        negative_rail: From v to its negative rail.
    """

    u_wrap: int
    positive_clip: int
    negative_rail: int


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """Bounds of one population, as register values (24 bits).

    Args:
        population: Its name.
        u_low, u_high: No input drives u beyond these.
        v_low, v_high: No input drives v, before its clip, beyond these.
        u_never_wraps: |u| < 2²³ always.
        positive_clip: `absent` (v stays below it), `harmless` (a neuron that reaches it fires
            anyway) or `fatal` (a read-out would lose value).
        negative_rail: `absent`, `possible` (v of a neuron may be clipped below) or `fatal` (a
            read-out would lose value).
        margins: How far the bounds are from the rails.
    """

    population: str
    u_low: int
    u_high: int
    v_low: int
    v_high: int
    u_never_wraps: bool
    positive_clip: str
    negative_rail: str
    margins: Margins

    @property
    def holds(self) -> bool:
        """Whether it computes what plain integers would, a neuron's negative rail aside."""
        return self.u_never_wraps and "fatal" not in (self.positive_clip, self.negative_rail)

    def to_json(self) -> dict[str, object]:
        """Plain fields."""
        return asdict(self)


def certify(program: Program, *, steps: int) -> tuple[Certificate, ...]:
    """Bounds of every population for windows of `steps` steps.

    Args:
        program: What runs.
        steps: T, the steps between two resets.
    """
    return tuple(
        certificate(program, population, steps=steps) for population in program.populations
    )


def require(certificates: tuple[Certificate, ...]) -> None:
    """Refuses a program whose registers may wrap, or whose read-out may be clipped.

    Raises:
        RangeError: Naming the population and its bound.
    """
    for found in certificates:
        if not found.u_never_wraps:
            raise RangeError(
                f"expected |u| < 2^23 in population {found.population!r} on every input, got up to "
                f"{max(-found.u_low, found.u_high)}; use a smaller scale"
            )
        if not found.holds:
            raise RangeError(
                f"expected {found.population!r} to stay between its clips, got "
                f"{found.v_low}..{found.v_high}; use a smaller scale or read it at every step"
            )


def certificate(program: Program, population: Population, *, steps: int) -> Certificate:
    """Bounds of one population; its sources' lawful values are all that matters of the others."""
    sums = np.zeros((2, population.shape[0]), dtype=np.int64)
    for synapse in program.into(population.name):
        sums += _activation(synapse, *_lawful(program, synapse.source))
    # A channel's neurons may differ in all but what arrives.
    low, high = sums.reshape(2, -1, *(1 for _ in population.shape[1:]))
    u_low, u_high = _summed(low * UNIT, high * UNIT, population.du, steps)
    bias = np.asarray(0 if population.bias is None else population.bias, dtype=np.int64) * UNIT
    # A neuron that fires restarts from 0, so a bound without resets covers every firing pattern.
    now_low, now_high = np.minimum(u_low + bias, 0), np.maximum(u_high + bias, 0)
    v_low, v_high = _summed(now_low, now_high, population.dv, steps)
    # What does not fire stays at or below threshold, and one more step adds one step's input.
    rest = np.maximum(population.vth, 0) * UNIT
    v_high = np.where(_forgets(population.dv), np.minimum(v_high, rest + now_high), v_high)
    reading = program.readout
    is_read = reading is not None and reading.population == population.name
    needs_value = is_read and reading is not None and reading.kind != "spikes"
    # A read-out loses value to the clip, and to a spike just as well.
    top = min(int(np.min(population.vth)) * UNIT, RAIL) if needs_value else RAIL
    margins = Margins(
        u_wrap=STATE_MAX - 1 - max(-int(u_low.min()), int(u_high.max())),
        positive_clip=top - int(v_high.max()),
        negative_rail=int(v_low.min()) + RAIL,
    )
    return Certificate(
        population=population.name,
        u_low=int(u_low.min()),
        u_high=int(u_high.max()),
        v_low=int(v_low.min()),
        v_high=int(v_high.max()),
        u_never_wraps=margins.u_wrap >= 0,
        positive_clip=_positive_clip(population, margins, needs_value=needs_value),
        negative_rail=_negative_rail(margins, needs_value=needs_value),
        margins=margins,
    )


def _lawful(program: Program, name: str) -> tuple[int, int]:
    """Least and greatest value that a node sends; zero padding counts as a value."""
    source = program.source(name)
    return (0, 1) if source is None else (min(0, source.low), max(0, source.high))


def _positive_clip(population: Population, margins: Margins, *, needs_value: bool) -> str:
    if margins.positive_clip >= 0:
        return "absent"
    return "harmless" if not needs_value and np.max(population.vth) <= VTH_MAX else "fatal"


def _negative_rail(margins: Margins, *, needs_value: bool) -> str:
    if margins.negative_rail >= 0:
        return "absent"
    return "fatal" if needs_value else "possible"


def _activation(synapse: Synapse, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest sum of each output channel, zero padding included."""
    weight = synapse.weight.astype(np.int64).reshape(synapse.weight.shape[0], -1)
    positive, negative = np.maximum(weight, 0).sum(1), np.minimum(weight, 0).sum(1)
    least, most = positive * low + negative * high, positive * high + negative * low
    return least >> synapse.shift, -(-most >> synapse.shift)


def _summed(
    low: np.ndarray, high: np.ndarray, rate: PerNeuron, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest register value when `low..high` arrives in each of `steps` steps."""
    # A rate beyond those of the chip turns signs around, or lets the register grow.
    peak = np.maximum(-low, high)
    low, high = np.where(_forgets(rate), low, -peak), np.where(_forgets(rate), high, peak)
    keep = np.abs(1.0 - np.asarray(rate) / DECAY_UNITY)
    factor = np.sum([keep**age for age in range(steps)], axis=0)
    # Decay rounds towards zero, so the real-valued sum bounds the register; one unit for float.
    grown = (np.minimum(np.ceil(np.abs(end) * factor), BEYOND) for end in (low, high))
    least, most = (end.astype(np.int64) + (factor % 1 > 0) for end in grown)
    return np.sign(low) * least, np.sign(high) * most


def _forgets(rate: PerNeuron) -> np.ndarray:
    """Whether a register moves towards zero and never past it."""
    return np.asarray(np.greater_equal(rate, 0) & np.less_equal(rate, DECAY_UNITY))
