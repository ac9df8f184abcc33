"""Large biases of what the input reaches, carried by a constant input channel.

A chip's bias field is narrow: 13 bits, where a payload of 8 bits times a weight of 8 bits takes 16.
A bias of the layer behind the input grows with that payload, and what its field cannot hold can
arrive from a channel of constant payload K, over one weight q:

    bias = K·q + rest

A current that lasts one step adds to v in the very step that the bias does, so nothing that the
chip computes is another.
"""

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Int

from ..sim.program import DECAY_UNITY, Population, Program, Source, Synapse
from .certify import certify
from .chip_file import signed


def carry_biases(program: Program, *, bits: int | None) -> Program:
    """The same computation with every bias of what the input reaches in `bits`, sign included.

    Only biases that are wider are split; as they were they stay where a split cannot hold them
    exactly: behind binary spikes, behind a current that lasts, with a kernel whose every weight
    meets the padding somewhere, or where q would be larger than the weights there are. Thus weights
    stay within their bits, and the chip report names the biases that are too wide.

    Args:
        program: A deployed network.
        bits: Of the chip's bias field; None where it is not known.
    """
    if bits is None or program.encoding is None or program.encoding.constant:
        return program
    (source,), (_, most) = program.sources, signed(bits)
    reached = [s for s in program.synapses if s.source == source.name]
    wide = [s for s in reached if _peak(program.population(s.target)) > most]
    if not wide or not source.is_graded or any(s.groups > 1 for s in reached):
        return program
    found = {s: q for s in wide if (q := _weights(program, source, s, most)) is not None}
    # Of several synapses into one population the first that can brings all of its bias.
    first = {s.target: s for s in reversed(found)}
    carried = {s: found[s] for s in first.values()}
    return _checked(program, _extended(program, source, carried)) if carried else program


def _peak(population: Population) -> int:
    return 0 if population.bias is None else int(np.abs(population.bias).max())


def _weights(
    program: Program, source: Source, synapse: Synapse, most: int
) -> Int[np.ndarray, " C"] | None:
    """q of each channel, 0 where its field holds the bias; None where no q will do."""
    population = program.population(synapse.target)
    lasts = np.any(np.asarray(population.du) != DECAY_UNITY)
    if lasts or synapse.is_delayed or synapse.shift or _tap(program, source, synapse) is None:
        return None
    bias = _by_channel(population)
    if bias is None:
        return None
    peak = int(np.abs(synapse.weight).max())
    whole = np.clip(np.round(bias / source.high), -peak, peak).astype(np.int32)
    found = np.where(np.abs(bias) > most, whole, 0).astype(np.int32)
    return found if np.abs(bias - source.high * found).max() <= most else None


def _by_channel(population: Population) -> Int[np.ndarray, " C"] | None:
    """One bias a channel; None where neurons of one differ."""
    bias = np.broadcast_to(np.asarray(population.bias), population.shape)
    rows = bias.reshape(population.shape[0], -1)
    return rows[:, 0].astype(np.int32) if (rows == rows[:, :1]).all() else None


def _tap(program: Program, source: Source, synapse: Synapse) -> tuple[int, ...] | None:
    """Of a kernel, row and column of a weight that meets no padding; `()` of a dense synapse."""
    if not synapse.is_conv:
        return ()
    after = program.shapes[synapse.target]
    found = []
    for axis in range(2):
        padding, dilation = synapse.padding[axis], synapse.dilation[axis]
        tap = math.ceil(padding / dilation)
        last = (after[1 + axis] - 1) * synapse.stride[axis] - padding + tap * dilation
        if tap >= synapse.weight.shape[2 + axis] or last >= source.shape[1 + axis]:
            return None
        found.append(tap)
    return tuple(found)


def _extended(
    program: Program, source: Source, carried: dict[Synapse, Int[np.ndarray, " C"]]
) -> Program:
    """With the channel, and the weights out of it."""
    channels, *size = source.shape
    brought = {synapse.target: q for synapse, q in carried.items()}
    assert program.encoding is not None
    return replace(
        program,
        sources=(replace(source, shape=(channels + 1, *size)),),
        populations=tuple(_relieved(p, source, brought) for p in program.populations),
        synapses=tuple(
            _widened(program, source, s, carried.get(s)) if s.source == source.name else s
            for s in program.synapses
        ),
        encoding=replace(program.encoding, constant=source.high),
    )


def _relieved(
    population: Population, source: Source, brought: dict[str, Int[np.ndarray, " C"]]
) -> Population:
    """With what is left of its bias."""
    if (q := brought.get(population.name)) is None:
        return population
    rest = np.asarray(population.bias) - source.high * q.reshape(
        -1, *(1,) * (len(population.shape) - 1)
    )
    return replace(population, bias=rest.astype(np.int32))


def _widened(
    program: Program, source: Source, synapse: Synapse, q: Int[np.ndarray, " C"] | None
) -> Synapse:
    """With weights of one more channel: of them one is q, the others are 0."""
    weight, tap = synapse.weight, _tap(program, source, synapse)
    more = 1 if synapse.is_conv else math.prod(source.shape[1:])
    behind = np.zeros((len(weight), more, *weight.shape[2:]), np.int32)
    if q is not None:
        assert tap is not None
        behind[(slice(None), 0, *tap)] = q
    return replace(synapse, weight=np.concatenate([weight, behind], axis=1))


def _checked(before: Program, after: Program) -> Program:
    """What is certified: a sum may now be too large for u, which no bias reaches."""
    assert before.encoding is not None
    found = certify(after, steps=before.encoding.steps)
    return after if all(each.holds for each in found) else before
