"""A node's neurons as populations of a chip hold them: one threshold, one decay, reset to 0.

What NIR states per neuron is carried by weights and biases where that is exact. The rest is an
approximation, which is listed with its size and made only where it is allowed.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from ..core.errors import UnsupportedNodeError
from ..sim.graph.layers import MembraneLayer, NeuronLayer
from ..sim.program import DECAY_UNITY

PARTS = 16
"""Populations that a layer is split into at most, one for each pair of decays."""


@dataclass(frozen=True, kw_only=True)
class Approximation:
    """Something that the chip does not compute as the graph says.

    Args:
        node: Where.
        what: What is replaced by what, and the unit of `size`.
        size: How far the two are apart at most.
    """

    node: str
    what: str
    size: float

    def __str__(self) -> str:
        return f"{self.node}: {self.what} (up to {self.size:.3g})"


class Approximations:
    """Collects what is approximated, or refuses it.

    Args:
        allowed: Whether to.
    """

    def __init__(self, *, allowed: bool) -> None:
        self.allowed = allowed
        self.found: list[Approximation] = []

    def add(self, node: str, what: str, size: float) -> None:
        """Adds one.

        Raises:
            UnsupportedNodeError: If none are allowed.
        """
        approximation = Approximation(node=node, what=what, size=float(size))
        if not self.allowed:
            raise UnsupportedNodeError(
                f"expected neurons of node {node!r} that the chip holds exactly, got some that "
                f"need an approximation: {what}, up to {size:.3g}; change the node or give "
                f"--allow-approximation"
            )
        self.found.append(approximation)


@dataclass(frozen=True, kw_only=True, eq=False)
class ChipNeurons:
    """i ← synapse·i + x;  v ← decay·v + gain·i + bias;  fires above theta, then v ← 0.

    Args:
        theta: Threshold; None for a read-out that never fires.
        gain: Factor of what arrives, one a channel (or neuron of a vector).
        bias: What is added to v at each step, likewise.
        decay, synapse: Shares that are left after a step, likewise.
    """

    theta: float | None
    gain: Float[np.ndarray, " C"]
    bias: Float[np.ndarray, " C"]
    decay: Float[np.ndarray, " C"]
    synapse: Float[np.ndarray, " C"]

    def parts(self) -> list[np.ndarray]:
        """Channels that share their decays in the chip's 12 bits, part by part."""
        rates = np.stack([_rate(self.decay), _rate(self.synapse)], axis=1)
        _, part = np.unique(rates, axis=0, return_inverse=True)
        return [np.flatnonzero(part.reshape(-1) == k) for k in range(int(part.max()) + 1)]


def chip_neurons(
    name: str,
    layer: NeuronLayer | MembraneLayer,
    *,
    bias: Float[np.ndarray, " C"],
    is_read: bool,
    log: Approximations,
) -> ChipNeurons:
    """What a chip needs to know of a node's neurons.

    Args:
        name: Of the node.
        layer: Its neurons.
        bias: The constant part of what arrives, one a channel.
        is_read: Whether the output reads them, so that they have to be one population.
        log: Takes what is approximated.

    Raises:
        UnsupportedNodeError: If it cannot be held, or only nearly and that is not allowed.
    """
    read = _Reader(name, layer, log)
    decay, gain = read.by_channel("decay"), read.by_channel("gain")
    is_plain = isinstance(layer, NeuronLayer)
    synapse = np.zeros_like(decay) if is_plain else read.by_channel("synapse")
    if is_read or _too_many(decay, synapse):
        decay, synapse = read.one("decay", decay), read.one("synapse", synapse)
    arriving = gain * _settled(name, bias, synapse, log)
    if layer.theta is None:
        assert isinstance(layer, MembraneLayer)
        _drop_rest(name, layer, log)
        return ChipNeurons(theta=None, gain=gain, bias=arriving, decay=decay, synapse=synapse)
    theta = read.by_channel("theta")
    if not is_plain and layer.drop is None:
        reset = read.by_channel("reset")
        # counted from the reset: v − reset, which then is 0 after a spike
        theta, arriving = theta - reset, arriving - (1.0 - decay) * reset
        _check_start(name, theta, reset, log)
    shared = float(theta[0]) if (theta == theta[0]).all() else 1.0
    scale = shared / theta
    return ChipNeurons(
        theta=shared, gain=gain * scale, bias=arriving * scale, decay=decay, synapse=synapse
    )


def overshoot(largest: Float[np.ndarray, " C"], neurons: ChipNeurons) -> float:
    """How far above θ, in units of θ, a membrane can be when it fires: the most of one step.

    Args:
        largest: Most that one step brings to v, one a channel.
        neurons: Where it arrives.
    """
    assert neurons.theta is not None
    stays = np.maximum(1.0 - neurons.synapse, 1.0 / DECAY_UNITY)
    return float((largest / stays).max() / neurons.theta)


def _too_many(decay: np.ndarray, synapse: np.ndarray) -> bool:
    return len(np.unique(np.stack([_rate(decay), _rate(synapse)], 1), axis=0)) > PARTS


def _rate(keeps: np.ndarray) -> np.ndarray:
    return np.round(DECAY_UNITY * (1.0 - keeps)).astype(np.int64)


@dataclass(frozen=True)
class _Reader:
    """Parameters of a layer, one a channel."""

    name: str
    layer: NeuronLayer | MembraneLayer
    log: Approximations

    def by_channel(self, field: str) -> np.ndarray:
        """One value a channel; where neurons of a channel differ, their mean for all of them."""
        channels = self.layer.shape[0]
        value = getattr(self.layer, field)
        if not isinstance(value, Tensor):
            return np.full(channels, float(value))
        rows = value.detach().cpu().double().numpy().reshape(channels, -1)
        if (rows == rows[:, :1]).all():
            return rows[:, 0].copy()
        mean = rows.mean(axis=1)
        off = np.abs(rows - mean[:, None]).max() / np.abs(mean).max()
        self.log.add(self.name, f"one {field} for each channel, its mean; relative error", off)
        return mean

    def one(self, field: str, values: np.ndarray) -> np.ndarray:
        """One value for all channels: theirs, or their mean."""
        if len(np.unique(_rate(values))) == 1:
            return values
        mean = values.mean()
        what = f"one {field} for all {len(values)} channels, their mean; error"
        self.log.add(self.name, what, np.abs(values - mean).max())
        return np.full_like(values, mean)


def _settled(
    name: str, bias: np.ndarray, synapse: np.ndarray, log: Approximations
) -> Float[np.ndarray, " C"]:
    """The current that a constant becomes behind its synapse, as if it had always been there."""
    if not (bias * synapse).any():
        return bias
    if (synapse >= 1.0).any():
        raise UnsupportedNodeError(
            f"expected no bias into neurons {name!r} whose current never decays, got one; the "
            f"chip adds a bias to the membrane, remove it"
        )
    settled = bias / (1.0 - synapse)
    what = "the bias's current is at its final value from the first step on; error of the current"
    log.add(name, what, np.abs(settled - bias).max())
    return settled


def _drop_rest(name: str, layer: MembraneLayer, log: Approximations) -> None:
    rest = np.abs(np.asarray(layer.rest, dtype=np.float64))
    if rest.any():
        log.add(name, "logits without v_leak; error of a logit", rest.max())


def _check_start(name: str, theta: np.ndarray, reset: np.ndarray, log: Approximations) -> None:
    if (theta <= 0).any():
        raise UnsupportedNodeError(
            f"expected v_reset below v_threshold at node {name!r}, got neurons that fire at every "
            f"step after their first spike; correct the node"
        )
    if reset.any():
        what = "membranes start at v_reset and not at v_leak; error in thresholds"
        log.add(name, what, np.abs(reset / theta).max())
