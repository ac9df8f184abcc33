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
    """

    population: str
    u_low: int
    u_high: int
    v_low: int
    v_high: int
    u_never_wraps: bool
    positive_clip: str
    negative_rail: str

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
    u_low, u_high = (_summed(bound * UNIT, population.du, steps) for bound in (low, high))
    bias = np.asarray(0 if population.bias is None else population.bias, dtype=np.int64) * UNIT
    # A neuron that fires restarts from 0, so a bound without resets covers every firing pattern.
    v_low = _summed(np.minimum(u_low + bias, 0), population.dv, steps)
    v_high = _summed(np.maximum(u_high + bias, 0), population.dv, steps)
    # What does not fire stays at or below threshold, and one more step adds one step's input.
    rest = np.maximum(population.vth, 0) * UNIT
    v_high = np.minimum(v_high, rest + np.maximum(u_high + bias, 0))
    reading = program.readout
    is_read = reading is not None and reading.population == population.name
    needs_value = is_read and reading is not None and reading.kind != "spikes"
    return Certificate(
        population=population.name,
        u_low=int(u_low.min()),
        u_high=int(u_high.max()),
        v_low=int(v_low.min()),
        v_high=int(v_high.max()),
        u_never_wraps=bool(-u_low.min() < STATE_MAX and u_high.max() < STATE_MAX),
        positive_clip=_positive_clip(population, int(v_high.max()), needs_value=needs_value),
        negative_rail=_negative_rail(int(v_low.min()), needs_value=needs_value),
    )


def _lawful(program: Program, name: str) -> tuple[int, int]:
    """Least and greatest value that a node sends; zero padding counts as a value."""
    source = program.source(name)
    return (0, 1) if source is None else (min(0, source.low), max(0, source.high))


def _positive_clip(population: Population, v_high: int, *, needs_value: bool) -> str:
    if needs_value:
        # A read-out loses value to the clip, and to a spike just as well.
        return "absent" if v_high <= min(int(np.min(population.vth)) * UNIT, RAIL) else "fatal"
    if v_high <= RAIL:
        return "absent"
    return "harmless" if np.max(population.vth) <= VTH_MAX else "fatal"


def _negative_rail(v_low: int, *, needs_value: bool) -> str:
    if v_low >= -RAIL:
        return "absent"
    return "fatal" if needs_value else "possible"


def _activation(synapse: Synapse, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest sum of each output channel, zero padding included."""
    weight = synapse.weight.astype(np.int64).reshape(synapse.weight.shape[0], -1)
    positive, negative = np.maximum(weight, 0).sum(1), np.minimum(weight, 0).sum(1)
    least, most = positive * low + negative * high, positive * high + negative * low
    return least >> synapse.shift, -(-most >> synapse.shift)


def _summed(per_step: np.ndarray, rate: PerNeuron, steps: int) -> np.ndarray:
    """Greatest register value when `per_step` arrives at every one of `steps` steps."""
    keep = np.abs(1.0 - np.asarray(rate) / DECAY_UNITY)
    factor = np.sum([keep**age for age in range(steps)], axis=0)
    # Decay rounds towards zero, so the real-valued sum bounds the register; one unit for float.
    grown = np.ceil(np.abs(per_step) * factor).astype(np.int64) + (factor % 1 > 0)
    return np.sign(per_step) * grown
