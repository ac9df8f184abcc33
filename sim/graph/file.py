"""NIR files: whole and known on the way in, the same bytes for the same graph on the way out."""

import io
from pathlib import Path
from typing import Any

import h5py
import nir

from ...core.errors import FormatError, SpikeproofError, UnsupportedNodeError
from ...core.files import write_bytes
from ..hdf5 import Fields, open_hdf5
from .linear import LINEAR
from .neurons import NEURONS

ENDS: tuple[type[nir.NIRNode], ...] = (nir.Input, nir.Output)
KNOWN: dict[str, type[nir.NIRNode]] = {kind.__name__: kind for kind in (*ENDS, *LINEAR, *NEURONS)}
_DAMAGE = (TypeError, ValueError, LookupError, AttributeError)
_WORDS = ("padding",)
"""Fields that hold a word where they do not hold numbers."""


def unknown_node(name: str, kind: str) -> UnsupportedNodeError:
    """The error for a node that no table knows."""
    return UnsupportedNodeError(
        f"expected node {name!r} to be one of {', '.join(sorted(KNOWN))}, got {kind}; "
        "replace the node or export without it"
    )


def read_nir(path: Path) -> nir.NIRGraph:
    """Reads a NIR graph of any framework and checks each node.

    NIR's own type check is off: it computes wrong shapes for rectangular kernels and for groups
    (nir 1.0.8); `NirNetwork` infers shapes itself. Graphs among the nodes stay what they are.

    Raises:
        FormatError: If the file is absent, truncated, no NIR file, or holds NaN.
        UnsupportedNodeError: If it holds a node of an unknown kind.
    """
    path = Path(path)
    with open_hdf5(path) as file:
        try:
            return _graph(file, path)
        except SpikeproofError:
            raise
        # what HDF5 says of damage that it meets on the way
        except (*_DAMAGE, OSError, RuntimeError, MemoryError) as error:
            raise FormatError(
                f"expected a whole NIR file at {path}, got {error}; export the network again"
            ) from error


def write_nir(path: Path, graph: nir.NIRGraph) -> None:
    """Writes a graph, whole or not at all; equal graphs give equal bytes."""
    write_bytes(path, nir_bytes(graph))


def nir_bytes(graph: nir.NIRGraph) -> bytes:
    """A graph as a NIR file holds it.

    HDF5 can store times of its own; h5py leaves them out and NIR adds none.
    """
    # In memory, because HDF5 ends the whole process where it cannot write.
    buffer = io.BytesIO()
    nir.write(buffer, graph)  # type: ignore[arg-type]
    return buffer.getvalue()


def _graph(file: h5py.File, path: Path) -> nir.NIRGraph:
    graph = Fields(file, path.name).group("node")
    kind = graph.text("type")
    if kind != "NIRGraph":
        raise FormatError(f"expected a NIR graph in {path}, got {kind}; wrap it in a NIRGraph")
    return _nodes_and_edges(graph, file["node"])


def _nodes_and_edges(graph: Fields, group: Any) -> nir.NIRGraph:
    """A graph, or one that is a node of another."""
    stored = graph.group("nodes")
    nodes = {n: _node(n, stored.group(n), group["nodes"][n]) for n in stored.names()}
    edges, metadata = _edges(graph), _metadata(graph, group)
    return nir.NIRGraph(nodes, edges, metadata=metadata, type_check=False)


def _node(name: str, stored: Fields, group: Any) -> nir.NIRNode:
    kind = stored.text("type")
    if kind == "NIRGraph":
        return _nodes_and_edges(stored, group)
    if kind not in KNOWN:
        raise unknown_node(name, kind)
    fields = {
        field: _value(stored, field) if field in _WORDS else stored.numbers(field)[()]
        for field in stored.names()
        if field not in ("type", "metadata")
    }
    try:
        node = KNOWN[kind].from_dict({"type": kind, **fields})
    # nir checks with assertions, and indexes what it has not checked
    except (*_DAMAGE, AssertionError) as error:
        raise FormatError(
            f"expected the fields of {kind} in node {name!r}, got {sorted(fields)} ({error!r}); "
            "export the network again"
        ) from error
    node.metadata = _metadata(stored, group)
    return node


def _edges(graph: Fields) -> list[tuple[str, str]]:
    if 0 in graph.shape("edges"):
        return []  # without text, numpy takes no edges for numbers
    stored = graph.texts("edges")
    if stored.ndim != 2 or stored.shape[1] != 2:
        raise FormatError(
            f"expected pairs of node names as edges, got shape {stored.shape}; the file is damaged"
        )
    return [(_text(source), _text(target)) for source, target in stored]


def _metadata(holder: Fields, group: Any) -> dict[str, Any]:
    """Strings and numbers; a group among them is another tool's and does not change a run."""
    if "metadata" not in holder:
        return {}
    stored = holder.group("metadata")
    kinds = {name: group["metadata"].get(name, getclass=True) for name in stored.names()}
    return {name: _value(stored, name) for name, kind in kinds.items() if kind is h5py.Dataset}


def _value(stored: Fields, name: str) -> Any:
    """Text, or numbers."""
    try:
        return stored.text(name)
    except FormatError:
        return stored.numbers(name)[()]


def _text(value: Any) -> str:
    return value.decode("utf8", "replace") if isinstance(value, bytes) else str(value)
