"""A network on its way to the chip: computed in float, with ever more of its numbers rounded.

    fold          batch norm and pools merged into the weights, nothing rounded
    weights       w ← round(w·S)/S
    thresholds    θ, biases and decays rounded as well; what the chip adds are its registers' limits

Differentiable like every target, so that each step can be attacked on its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..attacks.lattice import LEVELS
from ..core.axes import stacks_to_train
from ..sim.gradients.estimators import ESTIMATORS, TRAINING, Estimator, estimator
from ..sim.gradients.whole_train import begin_pass
from ..sim.neurons.neuron import integrate_and_fire
from ..sim.program import DECAY_UNITY
from .float_network import FloatLayer, FloatNetwork, FloatSynapse
from .quantize import Precision, rate, rounded


@dataclass(frozen=True)
class Part:
    """What connects a population, as tensors."""

    synapse: FloatSynapse
    weight: Tensor

    def current(self, spikes: Float[Tensor, "T N *axes"]) -> Float[Tensor, "T N *out"]:
        """What the spikes of its source bring."""
        flat = spikes.flatten(0, 1)
        if self.weight.ndim == 2:
            brought = F.linear(flat.flatten(1), self.weight)
        else:
            s = self.synapse
            brought = F.conv2d(flat, self.weight, None, s.stride, s.padding, s.dilation, s.groups)
        return brought.unflatten(0, spikes.shape[:2])


class LoweredNetwork:
    """A lowered network as a target of attacks: images [N, C, H, W] in [0, 1] to logits [N, K].

    One that takes frames has them in stacks [N, T·C, H, W].

    Args:
        network: What to compute.
        name: What reports call it.
        device: Where.
        using: How spikes are differentiated.
    """

    estimators = tuple(ESTIMATORS)

    def __init__(
        self,
        network: FloatNetwork,
        *,
        name: str,
        device: str = "cpu",
        using: str = TRAINING,
        _parts: Mapping[str, list[Part]] | None = None,
    ) -> None:
        self.network, self.name, self.device = network, name, device
        self._estimator: Estimator = estimator(using)
        self._parts = _parts or {
            layer.name: [
                Part(s, torch.from_numpy(s.weight).to(device, torch.float32))
                for s in layer.synapses
            ]
            for layer in network.layers
        }

    def using(self, name: str) -> "LoweredNetwork":
        """The same network, differentiated otherwise."""
        shared = {"name": self.name, "device": self.device, "_parts": self._parts}
        return LoweredNetwork(self.network, using=name, **shared)

    def __call__(self, x: Float[Tensor, "N channels H W"]) -> Float[Tensor, "N K"]:
        """Logits."""
        network, steps = self.network, self.network.meta.steps
        begin_pass(self._estimator)
        offset = torch.tensor(network.offset, device=x.device, dtype=x.dtype)
        frames = steps if network.takes_frames else 1
        shown = stacks_to_train(x * LEVELS, frames) - offset[:, None, None]
        trains = {network.source: shown}
        for layer in network.layers:
            current = self._current(layer, trains).expand(steps, *(-1,) * (len(layer.shape) + 1))
            if layer.theta is None:
                return _read(layer, current)
            trains[layer.name] = integrate_and_fire(
                current, theta=layer.theta, decay=layer.decay, estimator=self._estimator
            )
        return trains[network.layers[-1].name].sum(0).flatten(1)

    def _current(self, layer: FloatLayer, trains: Mapping[str, Tensor]) -> Tensor:
        parts = self._parts[layer.name]
        total = sum(part.current(trains[part.synapse.source]) for part in parts)
        assert isinstance(total, Tensor)
        bias = torch.from_numpy(layer.bias).to(total)
        return total + bias.reshape(-1, *(1 for _ in layer.shape[1:]))


def _read(layer: FloatLayer, current: Float[Tensor, "T N K"]) -> Float[Tensor, "N K"]:
    """A read-out that never fires: Σ currents, or what a leaky membrane keeps of them."""
    reading = layer.readings[0]
    total = torch.zeros_like(current[0])
    kept = reading.decay if reading.kind == "membrane" else 1.0
    for step in current:
        total = kept * total + step
    return total.flatten(1) / reading.times


def stages(
    network: FloatNetwork, scales: Mapping[str, float], *, precision: Precision, device: str = "cpu"
) -> dict[str, LoweredNetwork]:
    """What lies between a float network and its chip, by name, in order.

    Args:
        network: As it was lowered.
        scales: S of every layer.
        precision: Of the weights.
        device: Where to compute.

    Returns:
        Empty where a current lasts longer than a step: that is not computed here.
    """
    if any(layer.synapse for layer in network.layers):
        return {}
    peaks = precision.peaks(network)
    weights = _changed(network, scales, lambda la, s: _with_weights(la, s, peaks[la.name]))
    rest = _changed(weights, scales, _with_thresholds)
    found = {"fold": network, "weights": weights, "thresholds": rest}
    return {name: LoweredNetwork(n, name=name, device=device) for name, n in found.items()}


def _changed(
    network: FloatNetwork,
    scales: Mapping[str, float],
    change: Callable[[FloatLayer, float], FloatLayer],
) -> FloatNetwork:
    layers = tuple(change(layer, scales[layer.name]) for layer in network.layers)
    return replace(network, layers=layers)


def _with_weights(layer: FloatLayer, scale: float, peak: int) -> FloatLayer:
    synapses = tuple(
        replace(s, weight=rounded(s.weight, scale, peak) / scale) for s in layer.synapses
    )
    return replace(layer, synapses=synapses)


def _with_thresholds(layer: FloatLayer, scale: float) -> FloatLayer:
    theta = None if layer.theta is None else max(1, round(layer.theta * scale)) / scale
    decay = 1.0 - rate(layer.decay) / DECAY_UNITY
    return replace(layer, theta=theta, bias=(layer.bias * scale).round() / scale, decay=decay)
