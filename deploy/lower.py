"""A NIR graph as layers of the chip: populations, and the weights that reach each of them."""

from dataclasses import dataclass

import nir
import numpy as np
from jaxtyping import Float
from torch import Tensor

from ..core.errors import UnsupportedNodeError
from ..sim.nir_graph import NirNetwork
from ..sim.nir_layers import NeuronLayer
from ..sim.nir_meta import NirMeta
from .currents import Current, currents
from .linear_map import Dense, LinearMap, Same, explicit


@dataclass(frozen=True, kw_only=True, eq=False)
class FloatSynapse:
    """Weights from a population (or the input) to another, in float64.

    Args:
        source: Name of the node that it reads.
        weight: `[out, in]` or `[out, in/groups, kH, kW]`.
        stride, padding, dilation: `(H, W)` of a convolution.
        groups: Channel groups of a convolution.
    """

    source: str
    weight: Float[np.ndarray, "..."]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class FloatLayer:
    """One population to be: v ← decay·v + Σ weights·spikes + bias, firing above theta.

    Args:
        name: Name of the NIR node.
        shape: `(C, H, W)` or `(N,)`.
        synapses: What reaches it.
        bias: One value a channel or neuron.
        theta: Threshold; None for a read-out that never fires.
        decay: λ, 1 keeps everything.
    """

    name: str
    shape: tuple[int, ...]
    synapses: tuple[FloatSynapse, ...]
    bias: Float[np.ndarray, " C"]
    theta: float | None
    decay: float = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class FloatNetwork:
    """A network as the chip arranges it, before rounding.

    Args:
        source: Name of the input node.
        input_shape: `(C, H, W)`.
        layers: In order of computation, the read-out last.
        meta: Steps, read-out and lattice.
    """

    source: str
    input_shape: tuple[int, ...]
    layers: tuple[FloatLayer, ...]
    meta: NirMeta

    @property
    def offset(self) -> tuple[int, ...]:
        """What is subtracted from the pixels of each channel."""
        assert self.meta.input_lattice is not None
        return self.meta.input_lattice.offset or (0,) * self.input_shape[0]


def lower(graph: nir.NIRGraph, meta: NirMeta) -> FloatNetwork:
    """A graph's populations, and the weights between them.

    Raises:
        UnsupportedNodeError: If a node or an arrangement has no exact counterpart on the chip.
    """
    _check_meta(meta)
    network = NirNetwork(graph, meta)
    _check_input(network)
    read = _read(network, graph)
    found = currents(network, graph)
    layers = [_population(network, name, found[name]) for name in network.spiking]
    if meta.readout == "membrane":
        layers.append(_membrane(network, read, found[read]))
    return FloatNetwork(
        source=next(name for name, node in graph.nodes.items() if isinstance(node, nir.Input)),
        input_shape=network.input_shape,
        layers=tuple(layers),
        meta=meta,
    )


def _check_meta(meta: NirMeta) -> None:
    if meta.encoding != "direct" or meta.input_lattice is None or meta.input_lattice.scale != 255:
        raise UnsupportedNodeError(
            "expected direct-coded images on the uint8 lattice (metadata input_lattice, scale "
            f"255), got encoding {meta.encoding!r} with {meta.input_lattice}; export it with one"
        )


def _check_input(network: NirNetwork) -> None:
    lattice, shape = network.meta.input_lattice, network.input_shape
    assert lattice is not None
    if len(shape) != 3:
        raise UnsupportedNodeError(
            f"expected images (C, H, W) at the input, got shape {shape}; start with the map and a "
            f"Flatten node"
        )
    is_whole = all(0 <= mean <= lattice.scale for mean in lattice.offset)
    if not is_whole or len(lattice.offset) not in (0, shape[0]):
        raise UnsupportedNodeError(
            f"expected an offset in 0..{lattice.scale} for each of {shape[0]} channels in metadata "
            f"input_lattice, got {lattice.offset}; export the network again"
        )


def _read(network: NirNetwork, graph: nir.NIRGraph) -> str:
    """Name of the one node, a vector, that the output reads."""
    output = next(name for name, node in graph.nodes.items() if isinstance(node, nir.Output))
    sources = network.sources[output]
    layer = network.layers[sources[0]]
    if len(sources) != 1 or layer is None or len(layer.shape) != 1:
        raise UnsupportedNodeError(
            f"expected one dense layer before the output, got {list(sources)}; end with one that "
            f"has a logit a class"
        )
    if network.meta.readout == "spikes" and sources[0] != network.spiking[-1]:
        raise UnsupportedNodeError(
            f"expected the output to read the last neurons {network.spiking[-1]!r}, got "
            f"{sources[0]!r}; remove what the output does not need"
        )
    return sources[0]


def _population(network: NirNetwork, name: str, arriving: Current) -> FloatLayer:
    layer = network.layers[name]
    assert isinstance(layer, NeuronLayer)
    theta, decay, gain = (
        _shared(name, field, getattr(layer, field)) for field in ("theta", "decay", "gain")
    )
    return FloatLayer(
        name=name,
        shape=layer.shape,
        synapses=_synapses(name, arriving, gain),
        bias=arriving.bias * gain,
        theta=theta,
        decay=decay,
    )


def _membrane(network: NirNetwork, name: str, emitted: Current) -> FloatLayer:
    layer = network.layers[name]
    assert layer is not None
    return FloatLayer(
        name=name,
        shape=layer.shape,
        synapses=_synapses(name, emitted, 1.0),
        bias=emitted.bias,
        theta=None,
    )


def _shared(name: str, field: str, value: float | Tensor) -> float:
    if isinstance(value, float | int):
        return float(value)
    raise UnsupportedNodeError(
        f"expected one {field} for all neurons of node {name!r}, got one per neuron; a population "
        f"of the chip shares it, split the layer"
    )


def _synapses(name: str, current: Current, gain: float) -> tuple[FloatSynapse, ...]:
    return tuple(_synapse(name, source, linear, gain) for source, linear in current.maps)


def _synapse(name: str, source: str, linear: LinearMap, gain: float) -> FloatSynapse:
    if isinstance(linear, Same):
        linear = explicit(linear, name=name)
    if isinstance(linear, Dense):
        return FloatSynapse(source=source, weight=linear.weight * gain)
    if linear.after != linear.map_shape:
        raise UnsupportedNodeError(
            f"expected neurons {name!r} on the map {linear.map_shape} of the convolution before "
            f"them, got a flatten between; flatten behind the neurons"
        )
    geometry = {key: getattr(linear, key) for key in ("stride", "padding", "dilation", "groups")}
    return FloatSynapse(source=source, weight=linear.weight * gain, **geometry)
