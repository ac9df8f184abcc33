"""What makes a trained network a graph that NIR can hold: a table of passes, run in order.

Every pass keeps the function, in float64. Each one says what it needs of the graph that it gets
and what it leaves behind; both are checked when it runs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.errors import ConfigError
from .encode import fold_input
from .fold import fold_norms
from .graph import Conv, Dense, Flatten, Graph, Mix, Neurons, Node, Norm, Pool
from .merge import merge_linears, merge_pools
from .mix import fold_mixes
from .tidy import flatten_last, remove_dead


@dataclass(frozen=True)
class Property:
    """Something that is so of a graph: a claim, and its proof."""

    claim: str
    holds: Callable[[Graph], bool]


def without(kind: type[Node], words: str) -> Property:
    """That no node is of a kind."""
    return Property(f"no {words}", lambda graph: not graph.names(kind))


NO_DEAD = Property("no dead nodes", lambda graph: remove_dead(graph).nodes == graph.nodes)
NO_MIXES = without(Mix, "weighted sums")
NO_NORMS = without(Norm, "batch norms")
NO_POOLS = without(Pool, "pools")
FLATTENS_LAST = Property(
    "no neurons that alone read a flatten", lambda graph: flatten_last(graph).edges == graph.edges
)
WRITABLE = Property(
    "only convolutions, dense layers, flattens and neurons",
    lambda graph: all(
        isinstance(n, Conv | Dense | Flatten | Neurons) for n in graph.nodes.values()
    ),
)


@dataclass(frozen=True, kw_only=True)
class Pass:
    """A rewriting that keeps the function.

    Args:
        name: What it does.
        run: The rewriting.
        requires: What has to be so before.
        ensures: What is so afterwards.
    """

    name: str
    run: Callable[[Graph], Graph]
    requires: tuple[Property, ...] = ()
    ensures: tuple[Property, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a pass did: names of the nodes that it added, removed, or gave other parameters."""

    name: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    altered: tuple[str, ...]


PASSES: tuple[Pass, ...] = (
    Pass(name="remove dead nodes", run=remove_dead, ensures=(NO_DEAD,)),
    Pass(name="flatten behind neurons", run=flatten_last, ensures=(FLATTENS_LAST,)),
    Pass(name="fold weighted sums", run=fold_mixes, ensures=(NO_MIXES,)),
    Pass(name="fold batch norm", run=fold_norms, requires=(NO_MIXES,), ensures=(NO_NORMS,)),
    Pass(
        name="merge pools",
        run=merge_pools,
        requires=(NO_MIXES, NO_NORMS),
        ensures=(NO_POOLS,),
    ),
    Pass(
        name="merge linear nodes",
        run=merge_linears,
        requires=(NO_MIXES, NO_NORMS, NO_POOLS),
        ensures=(WRITABLE,),
    ),
)
"""In order: what one ensures, a later one requires."""
FOREIGN = tuple(each for each in PASSES if each.run not in (merge_pools, merge_linears))
"""For networks that we did not build: NIR holds their pools as they are."""


def folding(divisor: np.ndarray) -> Pass:
    """The pass that takes normalisation into the first layers; `divisor` as of `fold_input`."""
    return Pass(
        name="fold input normalisation",
        run=lambda graph: fold_input(graph, divisor),
        requires=(NO_MIXES, NO_NORMS, NO_POOLS),
        ensures=(WRITABLE,),
    )


def apply(graph: Graph, passes: Sequence[Pass] = PASSES) -> tuple[Graph, tuple[Change, ...]]:
    """The graph after all passes, and what each of them changed.

    Raises:
        UnsupportedNodeError: If a pass cannot keep the function.
        ConfigError: If a pass gets a graph that it is not made for, or breaks its word.
    """
    changes: list[Change] = []
    for each in passes:
        _check(each, graph, each.requires, "before")
        after = each.run(graph)
        _check(each, after, each.ensures, "after")
        changes.append(_change(each.name, graph, after))
        graph = after
    return graph, tuple(changes)


def _check(each: Pass, graph: Graph, properties: tuple[Property, ...], when: str) -> None:
    for found in properties:
        if not found.holds(graph):
            kinds = sorted({graph.kind(name) for name in graph.nodes})
            raise ConfigError(
                f"expected {found.claim} {when} pass {each.name!r}, got a graph of "
                f"{', '.join(kinds)}; keep the passes in the order of their table"
            )


def _change(name: str, before: Graph, after: Graph) -> Change:
    old, new = before.nodes, after.nodes
    return Change(
        name=name,
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        altered=tuple(sorted(n for n in new.keys() & old.keys() if new[n] is not old[n])),
    )
