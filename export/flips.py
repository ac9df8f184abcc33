"""Spikes that differ between two computations of one layer, and how near to θ the membrane was."""

from dataclasses import dataclass

import nir
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..core.errors import UnsupportedNodeError
from ..sim.graph.layers import NeuronLayer
from ..sim.graph.linear import total_weight
from ..sim.graph.network import NirNetwork, Values


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
    x: Float[Tensor, "T *axes"], *, theta: float | Tensor, decay: float | Tensor
) -> Float[Tensor, "T *axes"]:
    """Membranes before reset: h_t = λ·v_{t−1} + x_t, with v_t = h_t where h_t <= θ, else 0."""
    found, v = [], torch.zeros_like(x[0])
    for current in x:
        h = current + v * decay
        found.append(h)
        v = h * (h <= theta)
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
    assert isinstance(layer, NeuronLayer)
    x = network.membrane_input(name, inputs) * layer.gain
    h = membranes(x, theta=layer.theta, decay=layer.decay)
    margins = ((h - layer.theta).abs() / scale)[first]
    earliest = tuple(int(index) for index in first.nonzero()[0])
    return Flips(count=int(first.sum()), margin=float(margins.max()), first=earliest)


def weight_scale(
    graph: nir.NIRGraph, network: NirNetwork, name: str, inputs: Values
) -> Float[Tensor, "..."]:
    """Σ|w|·max|x| into each neuron of `name`, per channel: the unit that rounding is counted in.

    max|x| is 1 for spikes, and the largest payload for what reads the input.

    Raises:
        UnsupportedNodeError: If something other than a convolution or a dense layer feeds it.
    """
    total = np.zeros(())
    for source in network.sources[name]:
        node = graph.nodes[source]
        if not isinstance(node, nir.Conv2d | nir.Affine):
            raise UnsupportedNodeError(
                f"expected Conv2d or Affine before {name!r}, got {source!r} "
                f"({type(node).__name__}); fold it first"
            )
        largest = max(float(inputs[n].abs().max()) for n in _feeding(network, source, inputs))
        total = total + total_weight(node) * max(largest, 1.0)
    rank = len(network.layers[name].shape) if network.layers[name] else 1  # type: ignore[union-attr]
    return torch.as_tensor(total).reshape(-1, *(1,) * (rank - 1)).clamp_min(np.finfo(float).tiny)


def _feeding(network: NirNetwork, name: str, inputs: Values) -> list[str]:
    """The nodes among `inputs` that reach `name` first."""
    found: list[str] = []
    for source in network.sources[name]:
        found += [source] if source in inputs else _feeding(network, source, inputs)
    return found


def _first(differs: Bool[Tensor, "T *axes"]) -> Bool[Tensor, "T *axes"]:
    """The first true step of each train."""
    return differs & (differs.cumsum(0) == 1)
