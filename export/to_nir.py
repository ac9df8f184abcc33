"""A trained network as a NIR graph: folded, lowered, and with what NIR leaves open as metadata."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import nir
import numpy as np

from ..core.errors import ConfigError, UnsupportedNodeError
from ..sim.graph.meta import InputFrames, InputLattice, NirMeta
from ..train.network import LATTICE, NetworkConfig, SpikingNetwork
from .graph import INPUT, OUTPUT, Cell, Conv, Dense, Flatten, Graph, Neurons, Pool, Shape
from .layers import float64, read_layers
from .passes import PASSES, apply, folding

DT = 1.0
"""A power of two keeps dt·r/tau exact."""


def to_nir(network: SpikingNetwork, *, classes: Sequence[str] = ()) -> nir.NIRGraph:
    """The graph of what `network` computes in evaluation mode, in float64.

    Batch norm, the weights of residual sums, input normalisation and pooling are folded into
    convolutions and dense layers; the rest keeps its name. The input is the payload 255·x − mean,
    or the events counted in each cell of a frame.
    Neurons have parameters at their full shape and biases are always there: NIR 1.0.8 cannot write
    a graph without them.

    Args:
        network: On any device, in any mode; not changed.
        classes: Names of the classes, in the order of the logits.

    Raises:
        UnsupportedNodeError: If a layer cannot be kept exactly.
        ConfigError: If there are class names, but not one for each logit.
    """
    unit = LATTICE if network.config.encoding == "direct" else 1
    divisor = unit * float64(network.std).flatten()
    graph, _ = apply(read_layers(network), (*PASSES, folding(divisor)))
    return write_graph(graph, meta_of(network, classes))


def meta_of(network: SpikingNetwork, classes: Sequence[str] = ()) -> NirMeta:
    """How the exported graph is run.

    Raises:
        ConfigError: If there are class names, but not one for each logit.
    """
    config = network.config
    is_direct = config.encoding == "direct"
    lattice = InputLattice(scale=LATTICE, offset=tuple(int(m) for m in config.mean))
    if classes and len(classes) != config.classes:
        raise ConfigError(
            f"expected {config.classes} class names, got {len(classes)}; name each class or none"
        )
    return NirMeta(
        dt=DT,
        steps=config.steps,
        encoding=config.encoding,
        readout=config.readout,
        reset="zero",
        input_lattice=lattice if is_direct else None,
        input_frames=None if is_direct else _frames(config),
        classes=tuple(classes),
    )


def _frames(config: NetworkConfig) -> InputFrames:
    return InputFrames(binning=config.frame_binning, unit=config.frame_unit, cap=config.frame_cap)


def write_graph(graph: Graph, meta: NirMeta) -> nir.NIRGraph:
    """A graph without norms and sums in NIR's nodes.

    Raises:
        UnsupportedNodeError: If a node has no counterpart there.
    """
    shapes = graph.shapes()
    nodes: dict[str, nir.NIRNode] = {INPUT: nir.Input({"input": np.array(graph.input_shape)})}
    for name in graph.order():
        nodes[name] = _node(graph, name, shapes[graph.before(name)[0]], shapes[name])
    (last,) = graph.before(OUTPUT)
    nodes[OUTPUT] = nir.Output({"output": np.array(shapes[last])})
    metadata: dict[str, Any] = dict(meta.to_metadata())
    return nir.NIRGraph(nodes=nodes, edges=list(graph.edges), metadata=metadata, type_check=True)


def _node(graph: Graph, name: str, before: Shape, after: Shape) -> nir.NIRNode:
    try:
        write = WRITERS[type(graph.nodes[name])]
    except KeyError:
        raise UnsupportedNodeError(
            f"expected {name!r} to be folded away, got {graph.kind(name)}; fold the graph first"
        ) from None
    node = write(graph.nodes[name], before)
    if isinstance(node, str):
        raise UnsupportedNodeError(
            f"expected {name!r} ({graph.kind(name)}) to be {node}, got {graph.nodes[name]}; "
            "change the layer"
        )
    # NIR computes wrong types for rectangular kernels and for groups.
    node.input_type, node.output_type = {"input": np.array(before)}, {"output": np.array(after)}
    return node


def _conv(conv: Conv, before: Shape) -> nir.Conv2d:
    return nir.Conv2d(
        input_shape=(before[1], before[2]),
        weight=conv.weight,
        stride=conv.stride,
        padding=conv.padding,
        dilation=conv.dilation,
        groups=conv.groups,
        bias=conv.bias,
    )


def _dense(dense: Dense, before: Shape) -> nir.Affine:
    del before
    return nir.Affine(weight=dense.weight, bias=dense.bias)


def _flatten(flatten: Flatten, before: Shape) -> nir.Flatten:
    del flatten
    return nir.Flatten(input_type={"input": np.array(before)}, start_dim=0, end_dim=-1)


def _neurons(neurons: Neurons, before: Shape) -> nir.IF | nir.LIF:
    """IF as r = 1/dt; LIF as tau = dt/(1 − λ) and r = tau/dt, so that the input's gain is 1."""
    zero, theta = np.zeros(before), np.full(before, neurons.theta)
    if neurons.decay == 1.0:
        return nir.IF(r=np.full(before, 1.0 / DT), v_threshold=theta, v_reset=zero)
    tau = np.full(before, DT / (1.0 - neurons.decay))
    return nir.LIF(tau=tau, r=tau / DT, v_leak=zero, v_threshold=theta, v_reset=zero.copy())


def _pool(pool: Pool, before: Shape) -> nir.AvgPool2d | nir.SumPool2d | str:
    if pool.shape(before) != replace(pool, ceil=False).shape(before):
        return f"pooling whose windows end inside of maps {before}"
    kinds = {1.0 / (pool.kernel[0] * pool.kernel[1]): nir.AvgPool2d, 1.0: nir.SumPool2d}
    if pool.factor not in kinds:
        return "pooling that averages or sums"
    fields = (np.array(size) for size in (pool.kernel, pool.step, pool.padding))
    return kinds[pool.factor](*fields)


def _cell(cell: Cell, before: Shape) -> nir.NIRNode | str:
    """Every parameter at the full shape: other readers take the layer's shape from it."""
    try:
        full = {k: np.broadcast_to(v, before).copy() for k, v in cell.parameters.items()}
    except ValueError:
        shapes = {key: value.shape for key, value in cell.parameters.items()}
        return f"neurons with parameters for {before}, not {shapes}"
    return getattr(nir, cell.kind)(**full)


WRITERS: dict[type, Callable[..., nir.NIRNode | str]] = {
    Conv: _conv,
    Dense: _dense,
    Flatten: _flatten,
    Neurons: _neurons,
    Pool: _pool,
    Cell: _cell,
}
"""A writer answers with a node, or with what it would have accepted."""
