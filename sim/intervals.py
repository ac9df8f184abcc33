"""What a whole box of inputs can make a Program do: sound bounds on every spike and register.

Each step of the neuron is monotone in all that enters it, its reset aside: where a neuron may or
may not fire, both are followed, in one interval of v for every number of spikes so far. Bounds
hold for every input of the box; they are not tight, the less so the more steps and layers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Int32, Num
from torch import Tensor

from ..core.errors import RangeError, UnsupportedNodeError
from .components import in_order
from .exact_sums import channel_bounds, exact_dtype
from .fixed_point import STATE_MAX, decay
from .kernel import Kernel
from .per_neuron import on_device
from .program import DECAY_UNITY, STATE_SHIFT, Population, Program, Synapse


@dataclass(frozen=True, kw_only=True)
class Span:
    """Least and greatest value, time first; a leading axis of length 1 holds at every step."""

    low: Num[Tensor, "t N *shape"]
    high: Num[Tensor, "t N *shape"]

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Both at a step, from 0."""
        k = step if len(self.low) > 1 else 0
        return self.low[k], self.high[k]

    def __add__(self, other: "Span") -> "Span":
        return Span(low=self.low + other.low, high=self.high + other.high)


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What a population can do.

    Args:
        spikes: Whether each neuron surely fires (low is 1) and whether it may (high is 1).
        v: The membrane after the reset.
        count: How often it fires in all.
    """

    spikes: Span
    v: Span
    count: Span


class Enclosure:
    """A levelled Program, ready to enclose what a box of inputs makes it do.

    Args:
        program: Without loops and delays, as `deploy` writes them.

    Raises:
        UnsupportedNodeError: If it has loops, delays or shifts, or decays that turn signs around.
    """

    def __init__(self, program: Program) -> None:
        order = in_order(program)
        if order is None or program.unlevelled():
            raise UnsupportedNodeError(
                "expected levelled paths without loops, got others; bounds are for deployed "
                "networks"
            )
        self.program, self.order = program, order
        for population in order:
            _require_monotone(population)
        self._kernels = {p.name: [_split(program, s) for s in program.into(p.name)] for p in order}

    def run(self, inputs: Mapping[str, Span], *, steps: int) -> dict[str, Reach]:
        """Bounds of every population over `steps` steps from rest.

        Args:
            inputs: By source, the box of payloads.
            steps: T.

        Raises:
            RangeError: If u may wrap: then nothing is monotone.
        """
        trains, found = dict(inputs), {}
        for population in self.order:
            parts = [
                _weighted(trains[synapse.source], positive, negative)
                for synapse, positive, negative in self._kernels[population.name]
            ]
            arrives = sum(parts[1:], start=parts[0])
            found[population.name] = _advance(population, arrives, steps)
            trains[population.name] = found[population.name].spikes
        return found

    def arriving(self, name: str, trains: Mapping[str, Span]) -> Span:
        """What arrives at a population, given what its sources send."""
        parts = [_weighted(trains[s.source], up, down) for s, up, down in self._kernels[name]]
        return sum(parts[1:], start=parts[0])


def _require_monotone(population: Population) -> None:
    for key in ("du", "dv"):
        rate = np.asarray(getattr(population, key))
        if rate.min() < 0 or rate.max() > DECAY_UNITY:
            raise UnsupportedNodeError(
                f"expected decays within 0..{DECAY_UNITY} of population {population.name!r}, got "
                f"{rate.min()}..{rate.max()}; bounds need registers that keep their order"
            )


def _split(program: Program, synapse: Synapse) -> tuple[Synapse, Kernel, Kernel]:
    """A synapse's positive and negative weights, each ready to be applied."""
    if synapse.is_delayed or synapse.shift:
        raise UnsupportedNodeError(
            f"expected synapses without delay and shift, got {synapse.label} with them; bounds are "
            "for deployed networks"
        )
    source = program.source(synapse.source)
    low, high = (source.low, source.high) if source else (0, 1)
    dtype = exact_dtype(
        int(channel_bounds(synapse, low=low, high=high).max(initial=0)),
        largest=max(int(np.abs(synapse.weight).max(initial=0)), abs(low), abs(high)),
    )
    halves = (synapse.weight.clip(min=0), synapse.weight.clip(max=0))
    positive, negative = (
        Kernel(
            replace(synapse, weight=half),
            half,
            low=low,
            high=high,
            dtype=dtype,
            device=torch.device("cpu"),
        )
        for half in halves
    )
    return synapse, positive, negative


def _weighted(span: Span, positive: Kernel, negative: Kernel) -> Span:
    """Least and greatest sums: a⁻ = W⁺x⁻ + W⁻x⁺ and a⁺ = W⁺x⁺ + W⁻x⁻."""

    def each(kernel: Kernel, x: Tensor) -> Tensor:
        return kernel(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    return Span(
        low=each(positive, span.low) + each(negative, span.high),
        high=each(positive, span.high) + each(negative, span.low),
    )


def _advance(population: Population, arrives: Span, steps: int) -> Reach:
    zero = torch.zeros_like(arrives.low[0], dtype=torch.int32)
    du, dv, vth = (
        on_device(x, zero.device) for x in (population.du, population.dv, population.vth)
    )
    bias = torch.from_numpy(np.asarray(0 if population.bias is None else population.bias))
    drive, level = bias.to(torch.int32) << STATE_SHIFT, torch.as_tensor(vth) << STATE_SHIFT
    u, cases, rows = (zero, zero), _Cases.at_rest(zero, steps), []
    for t in range(steps):
        u = tuple(
            decay(old, du) + (a.to(torch.int64) << STATE_SHIFT).to(torch.int32)
            for old, a in zip(u, arrives.at(t), strict=True)
        )
        _require_no_wrap(population, *u)
        low, high = (
            (decay(old, dv) + now + drive).clamp(1 - STATE_MAX, STATE_MAX - 1)
            for old, now in zip((cases.low, cases.high), u, strict=True)
        )
        surely = ((low > level) | ~cases.happens).all(0)
        may = ((high > level) & cases.happens).any(0)
        cases = cases.after(low, high, level.to(torch.int32))
        rows.append((surely.float(), may.float(), *cases.hull()))
    found = [torch.stack(column) for column in zip(*rows, strict=True)]
    return Reach(
        spikes=Span(low=found[0], high=found[1]),
        v=Span(low=found[2], high=found[3]),
        count=cases.counts(),
    )


@dataclass(frozen=True, kw_only=True)
class _Cases:
    """What may be left in v, apart for every number of spikes so far.

    Args:
        low, high: v of a neuron that fired k times, at place k of the first axis.
        happens: Whether it may have fired so often.
    """

    low: Int32[Tensor, "counts N *shape"]
    high: Int32[Tensor, "counts N *shape"]
    happens: Bool[Tensor, "counts N *shape"]

    @classmethod
    def at_rest(cls, zero: Tensor, steps: int) -> "_Cases":
        """Before the first of `steps` steps: no spike, nothing in v."""
        empty = zero.expand(steps + 1, *zero.shape)
        happens = torch.zeros_like(empty, dtype=torch.bool)
        happens[0] = True
        return cls(low=empty, high=empty, happens=happens)

    def after(self, low: Tensor, high: Tensor, level: Tensor) -> "_Cases":
        """After a step that brought v to `low..high`, before its reset, in each case."""
        fires, stays = self.happens & (high > level), self.happens & (low <= level)
        came = torch.zeros_like(fires)
        came[1:] = fires[:-1]
        # Who fired stands at 0, who stayed silent at most at the threshold.
        least = torch.where(stays, low, 0)
        most = torch.where(stays, torch.minimum(high, level), 0)
        return _Cases(
            low=torch.where(came, least.clamp(max=0), least),
            high=torch.where(came, most.clamp(min=0), most),
            happens=came | stays,
        )

    def hull(self) -> tuple[Tensor, Tensor]:
        """v over all cases."""
        low = self.low.masked_fill(~self.happens, STATE_MAX).amin(0)
        return low, self.high.masked_fill(~self.happens, -STATE_MAX).amax(0)

    def counts(self) -> Span:
        """Fewest and most spikes, `[1, N, *shape]`."""
        number = torch.arange(len(self.low)).view(-1, *(1 for _ in self.low.shape[1:]))
        fewest = torch.where(self.happens, number, len(self.low)).amin(0, keepdim=True)
        most = torch.where(self.happens, number, -1).amax(0, keepdim=True)
        return Span(low=fewest.double(), high=most.double())


def _require_no_wrap(population: Population, low: Tensor, high: Tensor) -> None:
    peak = max(int(-low.min()), int(high.max()))
    if peak >= STATE_MAX:
        raise RangeError(
            f"expected |u| < 2^23 in population {population.name!r}, got up to {peak}; deploy the "
            "network, which scales it"
        )
