"""A NIR graph as layers of the chip: populations, and the weights that reach each of them."""

from dataclasses import replace

import nir
import numpy as np
import torch

from ..core.errors import UnsupportedNodeError
from ..export.linear_map import Conv, Dense, LinearMap, Same, chip_shape, explicit
from ..sim.classifier import LEVELS
from ..sim.graph.layers import DelayLayer, MembraneLayer, NeuronLayer
from ..sim.graph.meta import InputLattice, NirMeta
from ..sim.graph.network import NirNetwork
from ..sim.graph.topology import inlined, live
from .currents import Current, currents
from .float_network import FloatLayer, FloatNetwork, FloatSynapse, Reading
from .neurons import Approximations, ChipNeurons, chip_neurons, overshoot
from .split import Part, Parts, from_parts, rows


def lower(graph: nir.NIRGraph, meta: NirMeta, *, allow_approximation: bool = False) -> FloatNetwork:
    """A graph's populations, and the weights between them. Dead nodes are left out.

    Args:
        graph: The network.
        meta: How it is run.
        allow_approximation: Whether neurons may differ from what the graph says; all that does is
            listed.

    Raises:
        UnsupportedNodeError: If a node or an arrangement has no counterpart on the chip, or no
            exact one and approximations are not allowed.
    """
    _check_meta(meta)
    network = NirNetwork(live(inlined(graph)), meta, dtype=torch.float64)
    log = Approximations(allowed=allow_approximation)
    _check_input(network)
    _check_nodes(network)
    read = _read(network)
    found = currents(network, network.graph)
    parts: dict[str, list[Part]] = {}
    layers: list[FloatLayer] = []
    for name in network.spiking:
        layers += _populations(network, name, found[name], parts, log)
    if meta.readout != "spikes":
        layers.append(_membrane(network, read, found[read], parts, log))
    return FloatNetwork(
        source=network.input,
        input_shape=network.input_shape,
        layers=tuple(layers),
        meta=meta,
        approximations=tuple(log.found),
    )


def _check_meta(meta: NirMeta) -> None:
    lattice, frames = meta.input_lattice, meta.input_frames
    is_foreign = lattice is not None and (meta.encoding != "direct" or lattice.scale != LEVELS)
    if is_foreign:
        raise UnsupportedNodeError(
            "expected direct-coded images on the uint8 lattice (metadata input_lattice, scale "
            f"{LEVELS}, or none) or frames without one, got encoding {meta.encoding!r} with "
            f"{lattice}; export it so"
        )
    if frames is not None and frames.cap > LEVELS:
        raise UnsupportedNodeError(
            f"expected frames of at most {LEVELS} a cell (metadata input_frames), got cap "
            f"{frames.cap}; the payload has no more bits, cap them"
        )


def _check_input(network: NirNetwork) -> None:
    lattice, shape = network.meta.input_lattice or InputLattice(), network.input_shape
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


def _check_nodes(network: NirNetwork) -> None:
    """Refuses what a chip with a periodic reset cannot compute."""
    for loop in network.loops:
        raise UnsupportedNodeError(
            f"expected no loop, got one of nodes {', '.join(map(repr, loop))}; spikes on their way "
            f"outlive the chip's reset and would reach the next sample, unroll the loop"
        )
    for name, layer in network.layers.items():
        if isinstance(layer, DelayLayer) and not _is_zero(layer):
            raise UnsupportedNodeError(
                f"expected no delay at node {name!r} (Delay), got one; spikes on their way outlive "
                f"the chip's reset and would reach the next sample, remove it"
            )


def _is_zero(layer: DelayLayer) -> bool:
    return isinstance(layer.steps, int) and layer.steps == 0


def _read(network: NirNetwork) -> str:
    """Name of the one node, a vector, that the output reads."""
    output = next(n for n, node in network.graph.nodes.items() if isinstance(node, nir.Output))
    sources = network.sources[output]
    layer = network.layers[sources[0]]
    if len(sources) != 1 or layer is None or len(layer.shape) != 1:
        raise UnsupportedNodeError(
            f"expected one dense layer before the output, got {list(sources)}; end with one that "
            f"has a logit a class"
        )
    for name, other in network.layers.items():
        is_integrator = isinstance(other, MembraneLayer) and other.theta is None
        if is_integrator and (name != sources[0] or _feeds(network, name) != [output]):
            raise UnsupportedNodeError(
                f"expected node {name!r} ({type(network.graph.nodes[name]).__name__}) to feed the "
                f"output alone, got {_feeds(network, name)}; neurons of the chip send spikes, not "
                f"membranes"
            )
    if network.meta.readout == "spikes" and sources[0] != network.spiking[-1]:
        raise UnsupportedNodeError(
            f"expected the output to read the last neurons {network.spiking[-1]!r}, got "
            f"{sources[0]!r}; give the other neurons a path to the output through it"
        )
    return sources[0]


def _feeds(network: NirNetwork, name: str) -> list[str]:
    return [other for other, sources in network.sources.items() if name in sources]


def _populations(
    network: NirNetwork,
    name: str,
    arriving: Current,
    parts: dict[str, list[Part]],
    log: Approximations,
) -> list[FloatLayer]:
    """A node's neurons: one population, or one for each pair of decays."""
    layer = network.layers[name]
    assert isinstance(layer, NeuronLayer | MembraneLayer)
    is_read = network.meta.readout == "spikes" and name == network.spiking[-1]
    neurons = chip_neurons(name, layer, bias=arriving.bias, is_read=is_read, log=log)
    maps = [(source, _weights(name, linear)) for source, linear in arriving.maps]
    if isinstance(layer, MembraneLayer) and layer.drop is not None:
        size = overshoot(_largest(network, maps, neurons), neurons)
        what = "reset to 0 and not by subtraction; error of a membrane in thresholds"
        log.add(name, what, size)
    shape, groups = chip_shape(layer.shape), neurons.parts()
    named = [name] if len(groups) == 1 else [f"{name}_{k}" for k in range(len(groups))]
    if len(groups) > 1:
        parts[name] = list(zip(named, groups, strict=True))
    return [
        FloatLayer(
            name=part,
            shape=(len(channels), *shape[1:]),
            synapses=_synapses(network, maps, neurons, parts, channels),
            bias=neurons.bias[channels],
            theta=neurons.theta,
            decay=float(neurons.decay[channels[0]]),
            synapse=float(neurons.synapse[channels[0]]),
        )
        for part, channels in zip(named, groups, strict=True)
    ]


def _membrane(
    network: NirNetwork,
    name: str,
    found: Current,
    parts: Parts,
    log: Approximations,
) -> FloatLayer:
    """The read-out: a linear node, or an integrator."""
    layer, steps = network.layers[name], network.meta.steps
    assert layer is not None
    if isinstance(layer, MembraneLayer):
        neurons = chip_neurons(name, layer, bias=found.bias, is_read=True, log=log)
    else:
        ones = np.ones(layer.shape[0])
        neurons = ChipNeurons(theta=None, gain=ones, bias=found.bias, decay=ones, synapse=0 * ones)
    maps = [(source, _weights(name, linear)) for source, linear in found.maps]
    keeps = float(neurons.decay[0]) if isinstance(layer, MembraneLayer) else None
    return FloatLayer(
        name=name,
        shape=layer.shape,
        synapses=_synapses(network, maps, neurons, parts, np.arange(layer.shape[0])),
        bias=neurons.bias,
        theta=None,
        synapse=float(neurons.synapse[0]),
        readings=_readings(network.meta.readout, keeps, steps),
    )


def _readings(readout: str, keeps: float | None, steps: int) -> tuple[Reading, ...]:
    """Of an integrator that `keeps` a share of its membrane, or of a linear node."""
    if readout == "last":
        return (Reading(kind="membrane", decay=keeps or 0.0, times=1),)
    if keeps is not None:
        return (Reading(kind="sum", decay=keeps, times=steps),)
    # A membrane that keeps all that arrives holds the sum; else it is summed outside the chip.
    return (
        Reading(kind="membrane", decay=1.0, times=steps),
        Reading(kind="sum", decay=0.0, times=steps),
    )


def _largest(
    network: NirNetwork, maps: list[tuple[str, Dense | Conv]], neurons: ChipNeurons
) -> np.ndarray:
    """Most that one step brings to each channel."""
    total = np.maximum(neurons.bias, 0.0)
    lattice = network.meta.input_lattice
    offset = lattice.offset if lattice is not None and lattice.offset else (0,)
    for source, linear in maps:
        is_input = source == network.input
        is_level = is_input and (lattice is not None or network.meta.encoding == "frames")
        top = LEVELS - min(offset) if is_level else 1.0
        low = max(offset) if is_input and lattice is not None else 0.0
        weight = linear.weight.reshape(len(linear.weight), -1)
        weight = weight * neurons.gain[:, None]
        total = total + (np.maximum(weight, 0) * top + np.maximum(-weight, 0) * low).sum(1)
    return total


def _weights(name: str, linear: LinearMap) -> Dense | Conv:
    """A map with weights, whose result stays where neurons can be."""
    if isinstance(linear, Same):
        return explicit(linear, name=name)
    if isinstance(linear, Conv) and linear.after != linear.map_shape:
        raise UnsupportedNodeError(
            f"expected neurons {name!r} on the map {linear.map_shape} of the convolution before "
            f"them, got a flatten between; flatten behind the neurons"
        )
    return linear


def _synapses(
    network: NirNetwork,
    maps: list[tuple[str, Dense | Conv]],
    neurons: ChipNeurons,
    parts: Parts,
    channels: np.ndarray,
) -> tuple[FloatSynapse, ...]:
    """What reaches some channels of a node, population by population."""
    found: list[FloatSynapse] = []
    for source, linear in maps:
        gain = neurons.gain.reshape(-1, *(1,) * (linear.weight.ndim - 1))
        # Images without a lattice enter as x in [0, 1]: pixels are 255 times that.
        is_unit = network.meta.encoding == "direct" and network.meta.input_lattice is None
        unit = LEVELS if source == network.input and is_unit else 1
        scaled = replace(linear, weight=linear.weight * gain / unit)
        whole = len(channels) == len(linear.weight)
        into = scaled if whole else rows(scaled, channels)
        found += [_synapse(s, part) for s, part in from_parts(source, into, parts)]
    return tuple(found)


def _synapse(source: str, linear: Dense | Conv) -> FloatSynapse:
    if isinstance(linear, Dense):
        return FloatSynapse(source=source, weight=linear.weight)
    geometry = {key: getattr(linear, key) for key in ("stride", "padding", "dilation", "groups")}
    return FloatSynapse(source=source, weight=linear.weight, **geometry)
