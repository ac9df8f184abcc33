"""A population cut into equal boxes, each for one core: what a box of neurons takes of a core.

A convolution's kernel is stored once a core for each of the box's output channels; a dense
synapse stores every weight of every neuron of the box. An input axon is a neuron that the box
listens to; an output axon, a pair of one of its neurons and a core that listens to it.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from ..sim.program import Population, Program, Synapse
from .chip_file import Chip

Box = tuple[int, ...]
"""Its size along each axis of a population's shape."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What a box takes of a core, in the units of `Chip`."""

    neurons: int
    memory_bits: int
    input_axons: int
    output_axons: int

    def __add__(self, other: "Demand") -> "Demand":
        return Demand(**{key: value + getattr(other, key) for key, value in vars(self).items()})

    def beyond(self, chip: Chip) -> dict[str, int]:
        """What of it a core does not hold: its limits, by name; empty where it fits."""
        limits = {key: getattr(chip, f"{key}_per_core") for key in vars(self)}
        return {
            key: limit
            for key, limit in limits.items()
            if limit is not None and getattr(self, key) > limit
        }


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """A population in boxes.

    Args:
        population: Its name.
        box: Size of a box; the last ones along an axis may be smaller.
        count: How many boxes.
        demand: What the most demanding box takes.
    """

    population: str
    box: Box
    count: int
    demand: Demand


class Cutter:
    """Cuts one population, whose targets are cut already.

    Args:
        program: Where it lies.
        population: What to cut.
        chip: Whose cores.
        targets: Boxes of the populations that it sends to, as far as they are known.
    """

    def __init__(
        self, program: Program, population: Population, chip: Chip, targets: Mapping[str, Box]
    ) -> None:
        self.population, self.chip = population, chip
        self.shapes, self.incoming = program.shapes, program.into(population.name)
        self.outgoing = [
            Fan.of(s, program.shapes, targets[s.target])
            for s in program.synapses
            if s.source == population.name and s.target in targets
        ]

    def fewest(self) -> Tiling:
        """The tiling of fewest boxes that each fit a core.

        A limit that a single neuron breaks already is left out: it is a misfit of any tiling.
        """
        broken = self.cut(tuple(1 for _ in self.population.shape)).demand.beyond(self.chip)
        best: Tiling | None = None
        for box in _boxes(self.population.shape):
            if best is not None and _count(self.population.shape, box) > best.count:
                continue
            tiling = self.cut(box)
            if tiling.demand.beyond(self.chip).keys() <= broken.keys() and (
                best is None or _rank(tiling) < _rank(best)
            ):
                best = tiling
        assert best is not None  # single neurons break no other limit than they break
        return best

    def cut(self, box: Box) -> Tiling:
        """The tiling into boxes of one size."""
        neurons = math.prod(box)
        stored = sum(_weights(s, box) * _synapse_bits(s, self.chip) for s in self.incoming)
        demand = Demand(
            neurons=neurons,
            memory_bits=stored + neurons * (self.chip.neuron_bits or 0),
            input_axons=sum(_listened(s, box, self.shapes[s.source]) for s in self.incoming),
            output_axons=sum(fan.pairs(box) for fan in self.outgoing),
        )
        count = _count(self.population.shape, box)
        return Tiling(population=self.population.name, box=box, count=count, demand=demand)


@dataclass(frozen=True)
class Fan:
    """To how many boxes of a target the neurons of a source send.

    Args:
        channels: Boxes along the target's channels, or its neurons, that each neuron reaches.
        along: Boxes along height and width that each row and each column reaches; () of a vector.
    """

    channels: int
    along: tuple[Int[np.ndarray, "_"], ...]

    @classmethod
    def of(cls, synapse: Synapse, shapes: Mapping[str, tuple[int, ...]], target: Box) -> "Fan":
        """That of a synapse whose target is cut into boxes."""
        source, shape = shapes[synapse.source], shapes[synapse.target]
        if not synapse.is_conv:
            return cls(-(-shape[0] // target[0]), ())
        reached = shape[0] // synapse.groups
        boxes = min(-(-reached // target[0]) + (synapse.groups > 1), -(-shape[0] // target[0]))
        return cls(
            boxes,
            tuple(_reached(synapse, i, source[1 + i], shape[1 + i], target[1 + i]) for i in (0, 1)),
        )

    def pairs(self, box: Box) -> int:
        """Most pairs of a neuron of a box and a box of the target."""
        sides = box[1:] if self.along else ()
        runs = [_largest_run(each, size) for each, size in zip(self.along, sides, strict=True)]
        return (box[0] if self.along else math.prod(box)) * self.channels * math.prod(runs)

    def per_neuron(self, shape: tuple[int, ...]) -> Int[np.ndarray, "*shape"]:
        """Boxes of the target that each neuron of the source sends to.

        Args:
            shape: The source's.
        """
        if not self.along:
            return np.full(shape, self.channels)
        return np.broadcast_to(self.channels * np.multiply.outer(*self.along), shape)


def _count(shape: tuple[int, ...], box: Box) -> int:
    return math.prod(-(-n // size) for n, size in zip(shape, box, strict=True))


def _rank(tiling: Tiling) -> tuple[int, int, Box]:
    return tiling.count, tiling.demand.input_axons, tiling.box


def _boxes(shape: tuple[int, ...]) -> Iterator[Box]:
    """Every size that cuts an axis into equal parts, largest first."""
    sides = [sorted({-(-n // parts) for parts in range(1, n + 1)}, reverse=True) for n in shape]
    for index in np.ndindex(*map(len, sides)):
        yield tuple(side[i] for side, i in zip(sides, index, strict=True))


def _synapse_bits(synapse: Synapse, chip: Chip) -> int:
    return (chip.weight_bits or 0) + (chip.delay_bits or 0) * (not isinstance(synapse.delay, int))


def _weights(synapse: Synapse, box: Box) -> int:
    """Weights that a core stores for a box."""
    return int(math.prod(synapse.weight.shape[1:])) * box[0]


def _listened(synapse: Synapse, box: Box, shape: tuple[int, ...]) -> int:
    """Most neurons of the source that a box listens to."""
    if not synapse.is_conv:
        return math.prod(shape)
    channels, height, width = box
    per_group = synapse.weight.shape[0] // synapse.groups
    # A box that ends within a group may begin within one too.
    groups = min(-(-channels // per_group) + (channels % per_group > 0), synapse.groups)
    field = [
        min(
            (size - 1) * synapse.stride[i]
            + synapse.dilation[i] * (synapse.weight.shape[2 + i] - 1)
            + 1,
            shape[1 + i],
        )
        for i, size in enumerate((height, width))
    ]
    return groups * synapse.weight.shape[1] * math.prod(field)


def _reached(
    synapse: Synapse, axis: int, source: int, target: int, side: int
) -> Int[np.ndarray, "size"]:
    """How many boxes of a side of the target each row, or column, of the source reaches."""
    outputs = np.arange(target)
    taps = np.arange(synapse.weight.shape[2 + axis]) * synapse.dilation[axis]
    rows = (outputs * synapse.stride[axis] - synapse.padding[axis])[:, None] + taps
    boxes = np.broadcast_to((outputs // side)[:, None], rows.shape)
    inside = (rows >= 0) & (rows < source)
    pairs = np.unique(np.stack([rows[inside], boxes[inside]]), axis=1)
    return np.bincount(pairs[0], minlength=source)


def _largest_run(counts: Int[np.ndarray, "size"], length: int) -> int:
    """Greatest sum over one box's side."""
    return int(np.add.reduceat(counts, np.arange(0, len(counts), length)).max())
