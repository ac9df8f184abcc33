"""Populations of a Program in an ONNX graph: one at a time, those of a loop together.

What comes from outside a group is summed for all steps at once, and a Scan runs the neurons. Where
spikes return to a group, the Scan carries the last of them and sums them when they arrive.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import NamedTuple

import numpy as np

from ..sim.clock import Clock
from ..sim.exact_sums import activation_bound
from ..sim.program import Population, Program, Synapse
from ..sim.twin import by_delay
from . import whole
from .integer_reading import read, unread
from .integer_steps import State, advance, at_rest
from .integer_sums import Sums, Train, sums
from .onnx_scope import Scope, Value
from .whole import Whole

Values = list[Value]
Returned = Callable[[str, int], "Train"]
"""The spikes of a member so many steps ago."""


class Link(NamedTuple):
    """The part of a synapse that has one delay."""

    synapse: Synapse
    delay: int
    weight: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Wiring:
    """What is known while a file is being written.

    Args:
        program: What is written.
        clock: When a spike arrives.
        how: How sums are computed.
        record: Whether registers are kept.
        scope: The graph.
        batch: N, a vector of one number.
        trains: What each node sends, `[B, *shape]` with B = steps · N; grows.
        steps: Steps of each train: T, or 1 for the same at every step; grows.
    """

    program: Program
    clock: Clock
    how: Sums
    record: bool
    scope: Scope
    batch: Value
    trains: dict[str, Train]
    steps: dict[str, int]

    def sums(self, scope: Scope, link: Link, train: Train) -> Whole:
        """What a link makes of a train."""
        shape = self.program.shapes[link.synapse.source]
        return sums(scope, link.synapse, link.weight, train, shape=shape, how=self.how)

    def shape(self, *before: int, population: Population) -> Value:
        """`[*before, N, *shape]`, known when the graph runs."""
        ends = (self.scope.integers(*before), self.scope.integers(*population.shape))
        return self.scope.add("Concat", ends[0], self.batch, ends[1], axis=0)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one population answers: its traces, and its reading where it is read.

    Args:
        traces: `s` in uint8, where recorded `u` and `v` in int32, `[T, N, *shape]`.
        reading: v after the last step, v added up, or spikes counted; `[N, *shape]`.
    """

    traces: dict[str, Value]
    reading: Whole | None


def spike_train(raw: Value) -> Train:
    """A train of 0 and 1 in uint8."""
    zero = np.zeros(1, dtype=np.int64)
    return Train(raw=Whole(name=raw, low=0, high=1, dtype=np.uint8), shift=zero, low=0, high=1)


def write_group(wiring: Wiring, members: Sequence[Population]) -> dict[str, Answer]:
    """Writes the populations of a group after all that feeds it; what each answers, by name."""
    names = {population.name for population in members}
    group = [_Member(wiring, population, names) for population in members]
    reaches = {name: max(member.lateness_from(name) for member in group) for name in names}
    starts = [member.start(reaches[member.name]) for member in group]
    scanned = [value for member in group for value in member.trains()]

    def body(scope: Scope, before: Values, now: Values) -> tuple[Values, Values]:
        values, steps = iter(before), iter(now)
        carried = [start.renamed(values) for start in starts]
        buffers = {m.name: each.recent for m, each in zip(group, carried, strict=True)}

        def returned(source: str, lateness: int) -> Train:
            at = scope.constant(np.array(reaches[source] - lateness))
            buffer = buffers[source]
            assert buffer is not None
            return spike_train(scope.add("Gather", buffer.name, at, axis=0))

        made = [
            member.step(scope, each, steps, returned)
            for member, each in zip(group, carried, strict=True)
        ]
        return [n for after, _ in made for n in after.names()], [n for _, out in made for n in out]

    if not scanned:  # a Scan counts its steps along an input
        scanned = [wiring.scope.zeros(wiring.scope.integers(wiring.clock.steps), np.bool_)]
    carried = [value for start in starts for value in start.names()]
    ends, out = (iter(each) for each in wiring.scope.scan(carried, scanned, body))
    return {
        member.name: Answer(
            traces={key: next(out) for key in member.kept}, reading=start.renamed(ends).reading
        )
        for member, start in zip(group, starts, strict=True)
    }


@dataclass(frozen=True, kw_only=True)
class _Carried:
    """What a population carries from step to step; None for what it does not need.

    `recent` are its last spikes, oldest first, uint8 `[L, N, *shape]`.
    """

    registers: State
    reading: Whole | None
    recent: Whole | None

    def _values(self) -> tuple[Whole | None, ...]:
        return (self.registers.u, self.registers.v, self.reading, self.recent)

    def names(self) -> Values:
        """Of all that is carried, in order."""
        return [value.name for value in self._values() if value is not None]

    def renamed(self, names: Iterator[Value]) -> "_Carried":
        """The same values under the next of the names."""
        u, v, reading, recent = (
            None if value is None else replace(value, name=next(names)) for value in self._values()
        )
        return _Carried(registers=State(u=u, v=v), reading=reading, recent=recent)


class _Member:
    """A population of a group.

    Args:
        wiring: All that is known.
        population: The population.
        group: Names of the group's members.
    """

    def __init__(self, wiring: Wiring, population: Population, group: set[str]) -> None:
        self.wiring, self.population, self.name = wiring, population, population.name
        links = [
            Link(synapse, delay, weight)
            for synapse in wiring.program.into(population.name)
            for delay, weight in by_delay(synapse)
        ]
        self._inside = [link for link in links if link.synapse.source in group]
        self._arriving, steps = self._from_outside([k for k in links if k not in self._inside])
        # What is the same at every step is seen by the Scan's body and not stepped through.
        self._constant = None if steps > 1 else self._squeezed(self._arriving.name)
        self._resets = np.array(wiring.clock.resets(population.phase), dtype=np.bool_)
        readout = wiring.program.readout
        self._kind = readout.kind if readout and readout.population == self.name else None
        self.kept = ("s", "u", "v") if wiring.record else ("s",)

    def lateness_from(self, name: str) -> int:
        """After how many steps the last spike of a member arrives here; 0 for never."""
        late = (self._lateness(k) for k in self._inside if k.synapse.source == name)
        return max(late, default=0)

    def start(self, reach: int) -> _Carried:
        """What is carried, at the start, if the last `reach` spikes are."""
        wiring, scope = self.wiring, self.wiring.scope
        shape, recent = wiring.shape(population=self.population), None
        if reach:
            name = scope.zeros(wiring.shape(reach, population=self.population), np.uint8)
            recent = Whole(name=name, low=0, high=1, dtype=np.uint8)
        returning = sum(activation_bound(k.synapse, low=0, high=1) for k in self._inside)
        peak = self._arriving.peak + returning
        kind, steps = self._kind, wiring.clock.steps
        return _Carried(
            registers=at_rest(scope, self.population, peak=peak, shape=shape),
            reading=None if kind is None else unread(scope, kind, steps=steps, shape=shape),
            recent=recent,
        )

    def trains(self) -> Values:
        """What the Scan steps through for this population."""
        resets = [self.wiring.scope.constant(self._resets)] if self._resets.any() else []
        return ([] if self._constant else [self._arriving.name]) + resets

    def step(
        self, scope: Scope, carried: _Carried, steps: Iterator[Value], returned: Returned
    ) -> tuple[_Carried, Values]:
        """One step: what is carried on, and what is kept of it."""
        activation = replace(self._arriving, name=self._constant or next(steps))
        due = next(steps) if self._resets.any() else None
        for link in self._inside:
            train = returned(link.synapse.source, self._lateness(link))
            activation = whole.add(scope, activation, self.wiring.sums(scope, link, train))
        made = advance(scope, self.population, carried.registers, activation, due)
        after = _Carried(
            registers=made.state,
            reading=carried.reading and read(scope, self._kind or "", carried.reading, made),
            recent=carried.recent and _pushed(scope, carried.recent, made.spikes),
        )
        kept = {"s": made.spikes}
        if self.wiring.record:
            kept |= {key: scope.cast(x.name, np.int32) for key, x in (("u", made.u), ("v", made.v))}
        return after, list(kept.values())

    def _from_outside(self, links: Sequence[Link]) -> tuple[Whole, int]:
        """Sums of what arrives from other groups, `[steps, N, *shape]`, and the steps."""
        wiring, scope = self.wiring, self.wiring.scope
        if not links:
            zeros = scope.zeros(wiring.shape(1, population=self.population), np.int32)
            return Whole(name=zeros, low=0, high=0, dtype=np.int32), 1
        steps = [wiring.steps[link.synapse.source] for link in links]
        trains = [self._train(link, count) for link, count in zip(links, steps, strict=True)]
        return reduce(lambda x, y: whole.add(scope, x, y), trains), max(steps)

    def _train(self, link: Link, steps: int) -> Whole:
        """What a link adds, `[steps, N, *shape]`, at the steps in which it arrives."""
        wiring, scope = self.wiring, self.wiring.scope
        found = wiring.sums(scope, link, wiring.trains[link.synapse.source])
        shape = scope.integers(steps, -1, *self.population.shape)
        name = scope.add("Reshape", found.name, shape)
        if late := min(self._lateness(link), steps):
            pads = [0] * (2 * (2 + len(self.population.shape)))
            first = scope.integers(late, *pads[1:])
            cut = (scope.integers(0), scope.integers(steps), scope.integers(0))
            name = scope.add("Slice", scope.add("Pad", name, first), *cut)
        return replace(found, name=name, low=min(found.low, 0), high=max(found.high, 0))

    def _lateness(self, link: Link) -> int:
        return self.wiring.clock.lateness(link.delay)

    def _squeezed(self, name: Value) -> Value:
        return self.wiring.scope.add("Squeeze", name, self.wiring.scope.integers(0))


def _pushed(scope: Scope, recent: Whole, spikes: Value) -> Whole:
    """The last spikes without the oldest, with the newest."""
    ends = (scope.integers(1), scope.integers(np.iinfo(np.int64).max), scope.integers(0))
    kept = scope.add("Slice", recent.name, *ends)
    newest = scope.add("Unsqueeze", spikes, scope.integers(0))
    return replace(recent, name=scope.add("Concat", kept, newest, axis=0))
