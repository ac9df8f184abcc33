"""A lowered network step by step, from its definition alone: the chip before rounding."""

import numpy as np
import torch
import torch.nn.functional as F

from spikeproof.deploy.float_network import FloatLayer, FloatNetwork, FloatSynapse


def float_run(
    network: FloatNetwork, images: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Spikes `[T, N, *shape]` of each population, and logits, of uint8 images."""
    payload = torch.from_numpy(images).double()
    payload = payload - torch.tensor(network.offset).double()[:, None, None]
    trains, steps = {network.source: payload.expand(network.meta.steps, *payload.shape)}, None
    reading = torch.zeros(())
    for layer in network.layers:
        currents = sum(_sums(s, trains[s.source]) for s in layer.synapses)
        assert isinstance(currents, torch.Tensor)
        trains[layer.name], reading = _neurons(layer, currents)
        steps = trains[layer.name]
    assert steps is not None
    logits = steps.sum(0) if network.meta.readout == "spikes" else reading
    return {k: t.numpy() for k, t in trains.items()}, logits.numpy()


def _sums(synapse: FloatSynapse, train: torch.Tensor) -> torch.Tensor:
    weight, flat = torch.from_numpy(synapse.weight), train.flatten(0, 1)
    if weight.ndim == 2:
        return (flat.flatten(1) @ weight.T).unflatten(0, train.shape[:2])
    geometry = synapse.stride, synapse.padding, synapse.dilation, synapse.groups
    return F.conv2d(flat, weight, None, *geometry).unflatten(0, train.shape[:2])


def _neurons(layer: FloatLayer, currents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Spikes, and what is read of a layer that never fires."""
    bias = torch.from_numpy(layer.bias).reshape(-1, *(1,) * (len(layer.shape) - 1))
    decay = layer.decay if layer.theta is not None else layer.readings[0].decay
    i = v = torch.zeros_like(currents[0])
    spikes, levels = [], []
    for now in currents:
        i = layer.synapse * i + now
        v = decay * v + i + bias
        levels.append(v)
        fired = v > (torch.inf if layer.theta is None else layer.theta)
        v = torch.where(fired, 0.0, v)
        spikes.append(fired.double())
    if layer.theta is not None:
        return torch.stack(spikes), v
    reading = layer.readings[0]
    total = levels[-1] if reading.kind == "membrane" else torch.stack(levels).sum(0)
    return torch.stack(spikes), total / reading.times
