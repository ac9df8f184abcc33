"""A network between training and NIR: linear maps, norms, pools and neurons in float64, with edges.

Nodes with several edges into them receive the sum. `input` and `output` are the ends of the graph
and no nodes. Weights are numpy arrays in float64; no pass changes one in place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter

import numpy as np
from jaxtyping import Float64

from ..core.errors import UnsupportedNodeError

INPUT, OUTPUT = "input", "output"
Shape = tuple[int, ...]
Pair = tuple[int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Conv:
    """Zero-padded cross-correlation of maps `[C, H, W]`, weight `[out, in/groups, h, w]`."""

    weight: Float64[np.ndarray, "out in h w"]
    bias: Float64[np.ndarray, " out"]
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def shape(self, shape: Shape) -> Shape:
        """Shape of the output."""
        kernel = self.weight.shape[2:]
        terms = zip(shape[1:], self.padding, self.dilation, kernel, self.stride, strict=True)
        return (
            len(self.weight),
            *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, p, d, k, s in terms),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Dense:
    """y = W·x + b on vectors."""

    weight: Float64[np.ndarray, "out in"]
    bias: Float64[np.ndarray, " out"]

    def shape(self, shape: Shape) -> Shape:
        """Shape of the output."""
        del shape
        return (len(self.weight),)


@dataclass(frozen=True, kw_only=True, eq=False)
class Norm:
    """Batch norm in evaluation mode: y = gain·x + shift, per channel."""

    gain: Float64[np.ndarray, " C"]
    shift: Float64[np.ndarray, " C"]

    def shape(self, shape: Shape) -> Shape:
        """Shape of the output."""
        return shape


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool:
    """`factor` times the sum over `kernel` windows, `stride` apart (side by side where it is None).

    `padding` zeros count as values. With `ceil` the last windows may end outside of the map.
    """

    kernel: Pair
    factor: float
    stride: Pair | None = None
    padding: Pair = (0, 0)
    ceil: bool = False

    @property
    def step(self) -> Pair:
        """From one window to the next."""
        return self.stride or self.kernel

    def shape(self, shape: Shape) -> Shape:
        """Shape of the output, as torch counts windows."""
        terms = zip(shape[1:], self.kernel, self.step, self.padding, strict=True)
        height, width = (self._windows(n, k, s, p) for n, k, s, p in terms)
        return (shape[0], height, width)

    def _windows(self, size: int, kernel: int, step: int, padding: int) -> int:
        room = size + 2 * padding - kernel
        if not self.ceil:
            return room // step + 1
        count = -(-room // step) + 1
        # torch: the last window has to start inside the map or the padding before it
        return count - 1 if (count - 1) * step >= size + padding else count


@dataclass(frozen=True, kw_only=True, eq=False)
class Flatten:
    """Maps to vectors, in the order C, H, W."""

    def shape(self, shape: Shape) -> Shape:
        """Shape of the output."""
        return (int(np.prod(shape)),)


@dataclass(frozen=True, kw_only=True, eq=False)
class Neurons:
    """v ← decay·v + x; spike if v > theta; then v ← 0."""

    theta: float
    decay: float

    def shape(self, shape: Shape) -> Shape:
        """Shape of the output."""
        return shape


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """Neurons or an integrator with NIR's parameters, by field; `kind` is the node's name in NIR.

    Each parameter is a number, or broadcasts to the map that reaches it.
    """

    kind: str
    parameters: Mapping[str, Float64[np.ndarray, "..."]]

    def shape(self, shape: Shape) -> Shape:
        """Shape of the output."""
        return shape


@dataclass(frozen=True, kw_only=True, eq=False)
class Mix:
    """Σ weight·current, each current by the name of the node that it comes from."""

    weights: Mapping[str, float]

    def shape(self, shape: Shape) -> Shape:
        """Shape of the output."""
        return shape


Node = Conv | Dense | Norm | Pool | Flatten | Neurons | Cell | Mix


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """Nodes by name and edges by pairs of names, from `input` to `output`."""

    nodes: Mapping[str, Node]
    edges: tuple[tuple[str, str], ...]
    input_shape: Shape

    def before(self, name: str) -> list[str]:
        """Names with an edge into `name`."""
        return [source for source, target in self.edges if target == name]

    def after(self, name: str) -> list[str]:
        """Names with an edge from `name`."""
        return [target for source, target in self.edges if source == name]

    def order(self) -> list[str]:
        """Names of the nodes, sources first."""
        known = TopologicalSorter({name: self.before(name) for name in (*self.nodes, OUTPUT)})
        return [name for name in known.static_order() if name in self.nodes]

    def shapes(self) -> dict[str, Shape]:
        """Output shape of `input` and of each node."""
        found = {INPUT: self.input_shape}
        for name in self.order():
            found[name] = self.nodes[name].shape(found[self.before(name)[0]])
        return found

    def names(self, kind: type[Node]) -> list[str]:
        """Names of the nodes of one kind, sources first."""
        return [name for name in self.order() if isinstance(self.nodes[name], kind)]

    def kind(self, name: str) -> str:
        """What a node is, for messages."""
        return type(self.nodes[name]).__name__ if name in self.nodes else f"the {name}"

    def with_node(self, name: str, node: Node) -> "Graph":
        """The graph with a node replaced, or added without edges."""
        return replace(self, nodes={**self.nodes, name: node})

    def bridged(self, name: str) -> "Graph":
        """The graph without a node: what fed it feeds what it fed."""
        bridges = [(s, t) for s in self.before(name) for t in self.after(name)]
        kept = [edge for edge in self.edges if name not in edge]
        nodes = {other: node for other, node in self.nodes.items() if other != name}
        return replace(self, nodes=nodes, edges=tuple(dict.fromkeys([*kept, *bridges])))

    def require_only_input(self, name: str, source: str, why: str) -> None:
        """Refuses a node that sums something else into what it gets from `source`.

        Raises:
            UnsupportedNodeError: If it does.
        """
        others = [other for other in self.before(name) if other != source]
        if others:
            raise UnsupportedNodeError(
                f"expected {source!r} alone before {name!r} so that {why}, got {others} as well; "
                "give each its own layer"
            )
