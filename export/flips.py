"""Spikes that differ between two computations of one layer, and how near to θ the membrane was."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..sim.graph.layers import MembraneLayer, NeuronLayer, as_membrane
from ..sim.graph.linear import total_weight
from ..sim.graph.network import NirNetwork, Values

GAINS: dict[type[nir.NIRNode], Callable[[Any], np.ndarray | float]] = {
    **dict.fromkeys((nir.Affine, nir.Linear, nir.Conv1d, nir.Conv2d), total_weight),
    nir.Scale: lambda node: float(np.abs(node.scale).max()),
    nir.SumPool2d: lambda node: float(np.prod(np.broadcast_to(node.kernel_size, 2))),
    nir.AvgPool2d: lambda _: 1.0,
    nir.Flatten: lambda _: 1.0,
}
"""Σ|w| into the outputs of a node without memory: one a channel, or the largest."""


@dataclass(frozen=True, kw_only=True)
class Flips:
    """Neurons of a layer whose trains differ.

    `count` counts them per sample. At the first step where a train differs, |v − θ|/Σ|w|·max|x| is
    taken; `margin` is the largest of these, 0 without flips. Later steps differ because the reset
    did. `first` is (step, sample, *neuron) of the earliest.
    """

    count: int
    margin: float
    first: tuple[int, ...] = ()


def membranes(
    x: Float[Tensor, "T *axes"], layer: NeuronLayer | MembraneLayer
) -> Float[Tensor, "T *axes"]:
    """Membranes of neurons before their reset, from what arrives: the equations of `layer`."""
    other = as_membrane(layer)
    assert other.theta is not None
    found, i, v = [], torch.zeros_like(x[0]), torch.zeros_like(x[0])
    for arriving in x:
        i = i * other.synapse + arriving
        h = i * other.gain + v * other.decay
        found.append(h)
        fired = (h > other.theta).to(h.dtype)
        back = other.reset if other.drop is None else h - other.drop
        v = h * (1.0 - fired) + back * fired
    return torch.stack(found)


def first_flips(
    network: NirNetwork,
    scale: Float[Tensor, "..."],
    *,
    name: str,
    inputs: Values,
    spikes: Float[Tensor, "T *axes"],
    others: Float[Tensor, "T *axes"],
) -> Flips:
    """Compares two trains of the layer `name` of `network`.

    Args:
        network: In float64.
        scale: Σ|w|·max|x| of each neuron, broadcastable to its shape.
        name: A neuron node.
        inputs: Outputs of the nodes before it; the membrane is computed from them.
        spikes: Its train, as `network` computes it from `inputs`.
        others: The other train.
    """
    first = _first(spikes != others)
    if not first.any():
        return Flips(count=0, margin=0.0)
    layer = network.layers[name]
    assert isinstance(layer, NeuronLayer | MembraneLayer)
    assert layer.theta is not None
    h = membranes(network.membrane_input(name, inputs), layer)
    unit = scale * abs(layer.gain)
    margins = ((h - layer.theta).abs() / unit)[first]
    earliest = tuple(int(index) for index in first.nonzero()[0])
    return Flips(count=int(first.sum()), margin=float(margins.max()), first=earliest)


def weight_scale(network: NirNetwork, name: str, inputs: Values) -> Float[Tensor, "..."]:
    """Σ|w|·max|x| into each neuron of `name`, per channel: the unit that rounding is counted in.

    max|x| is 1 for spikes, and the largest payload for what reads the input. Pools, scales and
    flattens have the weights that they stand for; what another node sends arrives with weight 1.
    """
    total = np.zeros(())
    for source in network.sources[name]:
        total = total + _unit(network, source, inputs)
    rank = len(network.layers[name].shape) if network.layers[name] else 1  # type: ignore[union-attr]
    return torch.as_tensor(total).reshape(-1, *(1,) * (rank - 1)).clamp_min(np.finfo(float).tiny)


def _unit(network: NirNetwork, source: str, inputs: Values) -> np.ndarray | float:
    """What one node adds to the scale of those that it feeds: one number, or one a channel."""
    node = network.graph.nodes[source]
    gain = GAINS.get(type(node))
    if gain is None:
        return _largest(network, [source], inputs)
    return gain(node) * _largest(network, network.sources[source], inputs)


def _largest(network: NirNetwork, sources: Sequence[str], inputs: Values) -> float:
    """max|x| of the sum of what some nodes send, at least the 1 of a spike."""
    total = sum(network.values(inputs, sources).values(), torch.zeros(()))
    return max(float(total.abs().max()), 1.0)


def _first(differs: Bool[Tensor, "T *axes"]) -> Bool[Tensor, "T *axes"]:
    """The first true step of each train."""
    return differs & (differs.cumsum(0) == 1)
