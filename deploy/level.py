"""Levelling: relay populations lengthen the shorter paths, so that all that belongs together meets.

A synapse costs a step. Where paths of unequal length end in one population, the shorter one would
bring it the spikes of a later moment, and across the reset those of the next sample.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np

from ..core.errors import UnsupportedNodeError
from ..sim.components import in_order
from ..sim.program import DECAY_UNITY, Population, Program, Synapse


def level(program: Program) -> Program:
    """The same computation with every synapse exactly one phase long.

    Each population gets its depth behind the input as its phase. A chain of relays behind a
    population holds its spikes back for all synapses that need them later. Populations are listed
    by phase, relays behind the others.

    Raises:
        UnsupportedNodeError: If the program recurs, has delays, or takes an input in late: a relay
            passes on spikes, and payloads are more than that.
    """
    depths = _depths(program)
    chains = {name: _relays(program, name, depths) for name in depths}
    populations = [replace(p, phase=depths[p.name]) for p in program.populations]
    populations += [relay for chain in chains.values() for relay in chain]
    forwards = [_forward(program, name, chain) for name, chain in chains.items()]
    return replace(
        program,
        populations=tuple(sorted(populations, key=lambda p: p.phase)),
        synapses=(
            *(_from_relay(s, chains[s.source], depths) for s in program.synapses),
            *(synapse for forward in forwards for synapse in forward),
        ),
    )


def _depths(program: Program) -> dict[str, int]:
    """Longest path from an input to each node; -1 for the inputs."""
    ordered = in_order(program)
    if ordered is None or any(synapse.is_delayed for synapse in program.synapses):
        raise UnsupportedNodeError(
            "expected a program without loops and delays, got one with; relays level only those"
        )
    depths = {source.name: -1 for source in program.sources}
    for population in ordered:
        before = (depths[s.source] for s in program.into(population.name))
        depths[population.name] = 1 + max(before, default=-1)
    return depths


def _lag(synapse: Synapse, depths: Mapping[str, int]) -> int:
    """Steps that a synapse's spikes have to wait."""
    return depths[synapse.target] - depths[synapse.source] - 1


def _relays(program: Program, name: str, depths: Mapping[str, int]) -> tuple[Population, ...]:
    """The relays behind a node: as many as the synapse that waits longest needs."""
    late = [s for s in program.synapses if s.source == name and _lag(s, depths)]
    if late and program.source(name) is not None:
        raise UnsupportedNodeError(
            f"expected the input {name!r} to reach only populations that nothing else leads to, "
            f"got a shortcut into {late[0].target!r}; a relay passes on spikes and no payloads, "
            f"put neurons between them"
        )
    return tuple(
        Population(
            name=_unused(program, f"{name}_relay{number}"),
            shape=program.shapes[name],
            dv=DECAY_UNITY,
            vth=0,
            phase=depths[name] + number,
            is_relay=True,
        )
        for number in range(1, 1 + max((_lag(s, depths) for s in late), default=0))
    )


def _unused(program: Program, name: str) -> str:
    while name in program.shapes:
        name += "_"
    return name


def _from_relay(
    synapse: Synapse, chain: tuple[Population, ...], depths: Mapping[str, int]
) -> Synapse:
    lag = _lag(synapse, depths)
    return replace(synapse, source=chain[lag - 1].name) if lag else synapse


def _forward(program: Program, name: str, chain: tuple[Population, ...]) -> list[Synapse]:
    """One spike in, the same spike out, along a chain."""
    names = [name, *(relay.name for relay in chain)]
    weight, groups = _identity(program.shapes[name])
    return [
        Synapse(source=source, target=target, weight=weight, groups=groups)
        for source, target in pairwise(names)
    ]


def _identity(shape: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """Weights of 1 from each neuron to its like, and their groups."""
    if len(shape) == 1:
        return np.eye(shape[0], dtype=np.int32), 1
    return np.ones((shape[0], 1, 1, 1), dtype=np.int32), shape[0]
