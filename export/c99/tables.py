"""A Program as the constants of its C file: maps lie as H, W, C there, channels side by side."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int

from ...core.errors import FormatError, RangeError, UnsupportedNodeError
from ...sim.components import in_order
from ...sim.exact_sums import activation_bound
from ...sim.fixed_point import STATE_MAX
from ...sim.interface import Encoding, Readout
from ...sim.per_neuron import PerNeuron
from ...sim.program import DECAY_UNITY, STATE_SHIFT, Population, Program, Source, Synapse
from ...sim.wrapping import wrapping

INT32_MAX = np.iinfo(np.int32).max
WIDTHS = (np.int8, np.int16, np.int32)


@dataclass(frozen=True, kw_only=True, eq=False)
class Wires:
    """A synapse: which node it comes from, and its weights behind one input after the other.

    Args:
        synapse: What it is made of.
        source: 0 for the input, k + 1 for the k-th population.
        weight: `[inputs, out]` of a dense synapse; of a convolution `[in, kH, kW, out/groups]`.
    """

    synapse: Synapse
    source: int
    weight: Int[np.ndarray, "..."]

    @property
    def is_dense(self) -> bool:
        """Whether an input reaches all neurons."""
        return not self.synapse.is_conv


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """A population: its numbers, one for all neurons, one a channel or one a neuron.

    Args:
        population: What it is made of.
        map: `(C, H, W)`; of a vector, `(N, 1, 1)`.
        wires: What ends in it.
        numbers: `du`, `dv`, `vth` and `bias` as `[1]`, `[C]` or `[N]`.
        holds_input: Whether what the input contributes is the same at every step, and kept.
    """

    population: Population
    map: tuple[int, int, int]
    wires: tuple[Wires, ...]
    numbers: dict[str, Int[np.ndarray, " count"]]
    holds_input: bool

    @property
    def keeps_current(self) -> bool:
        """Whether u lasts longer than a step."""
        return bool((self.numbers["du"] != DECAY_UNITY).any())


@dataclass(frozen=True, kw_only=True, eq=False)
class Tables:
    """Everything that the C file of a program is written from.

    Args:
        source: The input.
        encoding: How a sample enters.
        readout: How it leaves.
        cells: Populations in order of computation.
        read: Which of them is read.
        weight_type: The narrowest that holds all weights.
    """

    source: Source
    encoding: Encoding
    readout: Readout
    cells: tuple[Cells, ...]
    read: int
    weight_type: type[np.signedinteger] = field(default=np.int8)

    @property
    def constant_bytes(self) -> int:
        """Weights and parameters: read-only memory, without the code."""
        weights = sum(w.weight.size for cells in self.cells for w in cells.wires)
        numbers = sum(n.size for cells in self.cells for n in cells.numbers.values())
        return weights * np.dtype(self.weight_type).itemsize + 4 * numbers

    @property
    def ram_bytes(self) -> int:
        """Static memory that is written: payload, sums, registers and spikes; not the stack."""
        sizes = [cells.population.size for cells in self.cells]
        payload = 2 * int(np.prod(self.source.shape))
        held = sum(4 * cells.population.size for cells in self.cells if cells.holds_input)
        currents = sum(4 * cells.population.size for cells in self.cells if cells.keeps_current)
        return payload + 4 * max(sizes) + held + currents + sum(5 * size for size in sizes)


def tables(program: Program) -> Tables:
    """Lays a deployed network out.

    Args:
        program: With one source, an encoding and a read-out, levelled and without loops.

    Raises:
        FormatError: If the program does not say how samples enter and logits leave.
        UnsupportedNodeError: If it has loops, delays or shifts, or reads maps.
        RangeError: If a sum may overflow, which deployed networks are certified not to.
    """
    encoding, readout = program.encoding, program.readout
    if encoding is None or readout is None or len(program.sources) != 1:
        raise FormatError(
            "expected a program with one input, an encoding and a read-out, got a bare network; "
            "deploy a NIR file to get one"
        )
    order = in_order(program)
    if order is None or program.unlevelled():
        raise UnsupportedNodeError(
            "expected levelled paths without loops, got others; C code is written for deployed "
            "networks"
        )
    (source,) = program.sources
    nodes = {source.name: 0, **{p.name: k + 1 for k, p in enumerate(order)}}
    cells = tuple(_cells(program, p, nodes, holds=encoding.kind == "direct") for p in order)
    read = nodes[readout.population] - 1
    if cells[read].map[1:] != (1, 1):
        raise UnsupportedNodeError(
            f"expected a vector of classes, got a read-out of shape {order[read].shape}; flatten it"
        )
    return Tables(
        source=source,
        encoding=encoding,
        readout=readout,
        cells=cells,
        read=read,
        weight_type=_narrowest(program),
    )


def _cells(program: Program, population: Population, nodes: dict[str, int], holds: bool) -> Cells:
    wires = tuple(_wires(program, s, nodes) for s in program.into(population.name))
    if not wires:
        raise UnsupportedNodeError(
            f"expected a synapse into population {population.name!r}, got none; leave it out"
        )
    _check_sums(program, population)
    zero = 0 if population.bias is None else population.bias
    stated = {"du": population.du, "dv": population.dv, "vth": population.vth, "bias": zero}
    return Cells(
        population=population,
        map=as_map(population.shape),
        wires=wires,
        numbers={key: _numbers(value, population.shape) for key, value in stated.items()},
        holds_input=holds and any(wire.source == 0 for wire in wires),
    )


def _wires(program: Program, synapse: Synapse, nodes: dict[str, int]) -> Wires:
    if synapse.is_delayed or synapse.shift:
        raise UnsupportedNodeError(
            f"expected synapses without delay and shift, got {synapse.label} with them; C code is "
            "written for deployed networks"
        )
    weight = synapse.weight
    if synapse.is_conv:
        grouped = weight.reshape(synapse.groups, -1, *weight.shape[1:])
        behind = grouped.transpose(0, 2, 3, 4, 1).reshape(-1, *weight.shape[2:], grouped.shape[1])
    else:
        maps = weight.reshape(len(weight), *as_map(program.shapes[synapse.source]))
        behind = maps.transpose(2, 3, 1, 0).reshape(-1, len(weight))
    return Wires(synapse=synapse, source=nodes[synapse.source], weight=behind)


def _check_sums(program: Program, population: Population) -> None:
    """All of what `step` computes has to stay within int32, wrapping of u and clip of v included.

    Raises:
        RangeError: If it does not.
    """
    total = 0
    for synapse in program.into(population.name):
        source = program.source(synapse.source)
        span = {"low": source.low, "high": source.high} if source else {"low": 0, "high": 1}
        bound = activation_bound(synapse, **span)
        peak = int(np.abs(synapse.weight).max(initial=0)) * max(map(abs, span.values()))
        if wrapping(synapse, activation=bound, product=peak) is not None:
            raise RangeError(
                f"expected sums over synapse {synapse.label} below 2^23, got up to {bound}; deploy "
                "the network, which scales it"
            )
        total += bound
    thresholds = int(np.abs(population.vth).max()) << STATE_SHIFT
    if max((total << STATE_SHIFT) + 3 * STATE_MAX, thresholds) > INT32_MAX:
        raise RangeError(
            f"expected activations and thresholds of {population.name!r} that 32 bits hold, got up "
            f"to {total} and {thresholds >> STATE_SHIFT}; deploy the network, which scales it"
        )


def as_map(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """`(C, H, W)`, also of a vector."""
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else (shape[0], 1, 1)


def _numbers(value: PerNeuron, shape: tuple[int, ...]) -> Int[np.ndarray, " count"]:
    """The shortest of one number, one a channel and one a neuron; channels lie innermost."""
    full = np.broadcast_to(np.asarray(value), shape).reshape(as_map(shape)).transpose(1, 2, 0)
    rows = full.reshape(-1, full.shape[2])
    if (rows == rows[0, 0]).all():
        return rows[0, :1].astype(np.int64)
    return (rows[0] if (rows == rows[0]).all() else rows.reshape(-1)).astype(np.int64)


def _narrowest(program: Program) -> type[np.signedinteger]:
    low = min(int(s.weight.min(initial=0)) for s in program.synapses)
    high = max(int(s.weight.max(initial=0)) for s in program.synapses)
    holds = (w for w in WIDTHS if np.iinfo(w).min <= low and high <= np.iinfo(w).max)
    return next(holds)
