"""A NIR graph as an ONNX file in float32: T steps in Scans, so that its size does not grow with T.

As in `NirNetwork`, linear nodes are computed for all steps at once, and only once where the input
is the same at every step; a Scan runs each layer of neurons.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial, reduce
from typing import NamedTuple

import nir
import numpy as np

from ..core.errors import UnsupportedNodeError
from ..sim.graph.layers import MembraneLayer, NeuronLayer, Shape
from ..sim.graph.meta import NirMeta
from ..sim.graph.network import NirNetwork
from .float_linear import LINEAR, Place
from .onnx_neurons import neurons
from .onnx_scope import Scope, Shapes, Value

IMAGES, FRAMES, LOGITS = "images", "frames", "logits"


def network_onnx(network: NirNetwork, *, record: bool = False) -> bytes:
    """A whole network as an ONNX file: `images` `[N, C, H, W]` in [0, 1] to `logits` `[N, K]`.

    A network for events takes `frames` `[T, N, C, H, W]`. All is float32.

    Args:
        network: With its graph.
        record: Whether the file also answers `s{k}` `[T, N, *shape]` of the k-th neuron node.

    Raises:
        UnsupportedNodeError: Naming a node that has no counterpart here.
        MissingAbilityError: If onnx or onnxruntime is not installed.
    """
    meta, writer = network.meta, _Writer(network)
    name = IMAGES if meta.encoding == "direct" else FRAMES
    steps: list[int | str] = [] if name == IMAGES else [meta.steps]
    first = Flow(_payload(writer.scope, meta), False)
    if name == FRAMES:
        first = Flow(writer.flat(FRAMES, network.input), True)
    writer.flows[network.input] = first
    (output,) = (key for key, node in network.graph.nodes.items() if type(node) is nir.Output)
    writer.scope.rename(_read_out(writer.scope, meta, writer.train(output)), LOGITS)
    return writer.scope.model(
        name="network",
        doc="A spiking network in float32.",
        inputs={name: (np.float32, [*steps, "N", *network.input_shape])},
        outputs={
            LOGITS: (np.float32, ["N", int(np.prod(writer.shape(output)))]),
            **writer.outputs(network.spiking if record else ()),
        },
        metadata={key: str(value) for key, value in meta.to_metadata().items()},
    )


def layer_onnx(network: NirNetwork, name: str, given: Mapping[str, int]) -> bytes:
    """One layer as an ONNX file, from outputs of nodes before it to `s0`, its spikes.

    Args:
        network: With its graph.
        name: A neuron node.
        given: Steps of each train `[T or 1, N, *shape]` that may be read, by node.
    """
    writer = _Writer(network)
    writer.given.update(given)
    outputs = writer.outputs([name])
    return writer.scope.model(
        name="layer",
        doc=f"Layer {name!r} of a spiking network in float32.",
        inputs={
            node: (np.float32, [given[node], "N", *writer.shape(node)])
            for node in given
            if node in writer.flows
        },
        outputs=outputs,
        metadata={},
    )


class Flow(NamedTuple):
    """What a node sends: `[B, *shape]`, where B is T·N if it `moves` from step to step, else N."""

    value: Value
    moves: bool


class _Writer:
    """Nodes of a graph, each written when it is asked for.

    Attributes:
        flows: What was written, by node.
        given: Steps of the trains that are inputs of the file, by node.
    """

    def __init__(self, network: NirNetwork) -> None:
        self.graph, self.network, self.scope = network.graph, network, Scope()
        self.flows: dict[str, Flow] = {}
        self.given: dict[str, int] = {}

    def flow(self, name: str) -> Flow:
        """What a node sends.

        Raises:
            UnsupportedNodeError: If it has no counterpart, or lies in a loop.
        """
        if any(name in loop for loop in self.network.loops):
            raise UnsupportedNodeError(
                f"expected no loop for ONNX, got node {name!r} in one; keep the NIR file"
            )
        if name not in self.flows:
            self.flows[name] = self._written(name)
        return self.flows[name]

    def train(self, name: str) -> Value:
        """What a node sends as `[T or 1, N, *shape]`."""
        flow = self.flow(name)
        steps = self.network.meta.steps if flow.moves else 1
        return self.scope.add(
            "Reshape", flow.value, self.scope.integers(steps, -1, *self.shape(name))
        )

    def flat(self, train: Value, name: str) -> Value:
        """A train of a node as `[B, *shape]`."""
        return self.scope.add("Reshape", train, self.scope.integers(-1, *self.shape(name)))

    def shape(self, name: str) -> Shape:
        """Shape at a node's output, without time and batch."""
        layer = self.network.layers[name]
        if layer is not None:
            return layer.shape
        sources = self.network.sources[name]
        return self.shape(sources[0]) if sources else self.network.input_shape

    def outputs(self, names: Collection[str]) -> Shapes:
        """Spikes of neuron nodes as outputs of the file."""
        found: Shapes = {}
        for k, name in enumerate(names):
            steps = self.network.meta.steps
            shape: list[int | str] = [steps, "N", *self.shape(name)]
            found[self.scope.rename(self.train(name), f"s{k}")] = (np.float32, shape)
        return found

    def _written(self, name: str) -> Flow:
        if name in self.given:
            return Flow(self.flat(name, name), self.given[name] > 1)
        layer, node = self.network.layers[name], self.graph.nodes[name]
        x = self._sum(self.network.sources[name])
        if layer is None:
            return x
        if isinstance(layer, NeuronLayer | MembraneLayer):
            steps = self.network.meta.steps
            sent = neurons(self.scope, layer, x.value, steps=steps, moves=x.moves)
            return Flow(self.flat(sent, name), True)
        write = LINEAR.get(type(node))
        if write is None:
            raise UnsupportedNodeError(
                f"expected neurons, an integrator or a linear map at node {name!r} for ONNX, got "
                f"{type(node).__name__}; keep the NIR file"
            )
        before = self.shape(self.network.sources[name][0])
        place = Place(
            fields=vars(node), before=before, after=layer.shape, flattened=self._flattened(name)
        )
        return Flow(write(self.scope, place, x.value), x.moves)

    def _flattened(self, name: str) -> Shape | None:
        """Shape of the maps whose flatten alone feeds a node, where one does."""
        (source, *others) = self.network.sources[name]
        if others or type(self.graph.nodes[source]) is not nir.Flatten:
            return None
        return self.shape(self.network.sources[source][0])

    def _sum(self, names: Sequence[str]) -> Flow:
        """Sum of the edges into a node, in their stored order."""
        flows = [self.flow(name) for name in names]
        if len({flow.moves for flow in flows}) == 1:
            add = partial(self.scope.add, "Add")
            return Flow(reduce(add, (flow.value for flow in flows)), flows[0].moves)
        # One that is the same at every step is added to each step of the others.
        total = reduce(partial(self.scope.add, "Add"), (self.train(name) for name in names))
        return Flow(self.flat(total, names[0]), True)


def _payload(scope: Scope, meta: NirMeta) -> Value:
    """What images in [0, 1] mean at the input node: round(scale·x) − offset, halves to even."""
    lattice = meta.input_lattice
    if lattice is None:
        return IMAGES
    scaled = scope.add("Mul", IMAGES, scope.constant(np.array(lattice.scale, np.float32)))
    levels = scope.add("Round", scaled)
    if not lattice.offset:
        return levels
    offset = np.array(lattice.offset, np.float32).reshape(-1, 1, 1)
    return scope.add("Sub", levels, scope.constant(offset))


def _read_out(scope: Scope, meta: NirMeta, train: Value) -> Value:
    """Class scores: the output's mean over the steps, its last one, or its spike count."""
    return scope.add("Flatten", READ[meta.readout](scope, train), axis=1)


READ: dict[str, Callable[[Scope, Value], Value]] = {
    "membrane": lambda scope, train: scope.add("ReduceMean", train, axes=[0], keepdims=0),
    "last": lambda scope, train: scope.add(
        "Gather", train, scope.constant(np.array(-1, np.int64)), axis=0
    ),
    "spikes": lambda scope, train: scope.add("ReduceSum", train, scope.integers(0), keepdims=0),
}
"""As `nir_graph.READ`."""
