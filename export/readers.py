"""Which linear layers take what a node gives."""

from ..core.errors import UnsupportedNodeError
from .graph import Conv, Dense, Flatten, Graph


def linear_readers(graph: Graph, name: str, *, what: str, why: str, advice: str) -> list[str]:
    """The convolutions and dense layers that read a node, as it is or flattened.

    Args:
        graph: The network.
        name: The node that is read.
        what: What errors call it.
        why: What needs every reader to read nothing else: "it can …".
        advice: What to do about other readers.

    Raises:
        UnsupportedNodeError: If something else reads it, or a reader adds something else to it.
    """
    waiting, found = [(name, reader) for reader in graph.after(name)], []
    while waiting:
        source, reader = waiting.pop()
        node = graph.nodes.get(reader)
        graph.require_only_input(reader, source, why)
        if isinstance(node, Flatten):
            waiting += [(reader, after) for after in graph.after(reader)]
        elif isinstance(node, Conv | Dense):
            found.append(reader)
        else:
            raise UnsupportedNodeError(
                f"expected {what} to feed a convolution or a dense layer, got {reader!r} "
                f"({graph.kind(reader)}); {advice}"
            )
    return found
