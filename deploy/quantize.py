"""Float layers as integers: one scale S a population, for its weights, its bias and its threshold.

w_int = round(w·S),  vth = round(θ·S),  bias_int = round(b·S),  dv = round(4096·(1 − λ)), du alike
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ..core.errors import ConfigError, RangeError
from ..sim.interface import Encoding, Readout
from ..sim.program import BIAS, DECAY_UNITY, VTH_MAX, Population, Program, Source, Synapse
from .certify import certificate
from .float_network import FloatLayer, FloatNetwork
from .level import level

PAYLOAD_BITS = 9
SHRINK = 0.98
"""A scale whose certificate fails is lowered by this factor until it holds."""


@dataclass(frozen=True, kw_only=True)
class Precision:
    """Bits of a weight, sign included: 2 to 8.

    Args:
        bits: Of every layer that is not named.
        layers: Of single layers; `first` and `last` stand for the first and the last one.
    """

    bits: int = 8
    layers: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for bits in (self.bits, *self.layers.values()):
            if not 2 <= bits <= 8:
                raise ConfigError(f"expected 2 to 8 bits a weight, got {bits}; choose one of them")

    def peaks(self, network: FloatNetwork) -> dict[str, int]:
        """Greatest weight of every layer.

        Raises:
            ConfigError: If a layer is named that the network has not.
        """
        names = [layer.name for layer in network.layers]
        aliases = {"first": names[0], "last": names[-1]}
        # A layer that is really called so is meant before the place.
        named = {n if n in names else aliases.get(n, n): b for n, b in self.layers.items()}
        if unknown := sorted(named.keys() - set(names)):
            raise ConfigError(
                f"expected bits for layers among first, last, {', '.join(names)}, got "
                f"{unknown[0]!r}; name one of them"
            )
        return {name: (1 << (named.get(name, self.bits) - 1)) - 1 for name in names}


def quantize(
    network: FloatNetwork,
    *,
    precision: Precision,
    factors: Mapping[str, float],
    scales: Mapping[str, float] | None = None,
) -> tuple[Program, dict[str, float]]:
    """Float layers as a Program whose certificates hold and whose paths are level.

    Args:
        network: What to quantise.
        precision: Of the weights.
        factors: By layer, S as a multiple of the scale that just fits its largest weight: above
            1 clips large weights, below 1 leaves headroom. Absent means 1.
        scales: By layer, S itself, in place of such a multiple: weights that move then stay on
            one lattice. It is still lowered where a certificate asks for it.

    Returns:
        The program, and the scale S of every layer.

    Raises:
        RangeError: If a layer fits at no scale.
        UnsupportedNodeError: If its paths cannot be levelled.
    """
    built: list[_Quantized] = []
    peaks, given = precision.peaks(network), scales or {}
    for layer in network.layers:
        peak = peaks[layer.name]
        wanted = given.get(layer.name) or _filling(layer, peak) * factors.get(layer.name, 1.0)
        scale = _largest_scale(layer, wanted)
        built.append(_fitting(network, layer, scale, peak, tuple(built)))
    scales = {q.population.name: q.scale for q in built}
    return level(_program(network, tuple(built))), scales


@dataclass(frozen=True, kw_only=True, eq=False)
class _Quantized:
    population: Population
    synapses: tuple[Synapse, ...]
    scale: float
    readout: Readout | None


def _filling(layer: FloatLayer, peak: int) -> float:
    """The scale at which the largest weight fills its field."""
    largest = max(float(np.abs(s.weight).max(initial=0.0)) for s in layer.synapses)
    if largest == 0.0:
        raise RangeError(
            f"expected a weight that is not zero into {layer.name!r}, got none; leave the layer out"
        )
    return peak / largest


def _largest_scale(layer: FloatLayer, wanted: float) -> float:
    """The wanted scale, or the greatest below it at which threshold and bias keep their fields."""
    limits = [wanted]
    if layer.theta is not None:
        limits.append(VTH_MAX / layer.theta)
    bias = float(np.abs(layer.bias).max(initial=0.0))
    if bias:
        limits.append(BIAS.max / bias)
    return min(limits)


def _fitting(
    network: FloatNetwork,
    layer: FloatLayer,
    scale: float,
    peak: int,
    before: tuple[_Quantized, ...],
) -> _Quantized:
    """The layer at the greatest scale up to `scale` for which its certificate holds."""
    first = scale
    while scale > first / 16:
        for found in _candidates(layer, scale, peak):
            _require_a_weight(found, layer, peak)
            program = _program(network, (*before, found))
            if certificate(program, found.population, steps=network.meta.steps).holds:
                return found
        scale *= SHRINK
    raise RangeError(
        f"expected population {layer.name!r} to fit its registers, got overflow down to scale "
        f"{scale:.4g}; its inputs are too many, or its weights too uneven, for {_bits(peak)} bits"
    )


def _require_a_weight(found: _Quantized, layer: FloatLayer, peak: int) -> None:
    """Refuses a population that its rounded weights would silence.

    Raises:
        RangeError: If all of them are zero.
    """
    if not any(synapse.weight.any() for synapse in found.synapses):
        raise RangeError(
            f"expected population {layer.name!r} to keep a weight, got zeros only at scale "
            f"{found.scale:.4g}, which its bias and threshold leave to {_bits(peak)} bits; give "
            "it more bits, or a smaller bias"
        )


def _bits(peak: int) -> int:
    return peak.bit_length() + 1


def _candidates(layer: FloatLayer, scale: float, peak: int) -> list[_Quantized]:
    """A hidden population; or a read-out, in each way that it can be read."""
    population = Population(
        name=layer.name,
        shape=layer.shape,
        du=rate(layer.synapse),
        dv=rate(layer.decay),
        vth=VTH_MAX if layer.theta is None else max(1, round(layer.theta * scale)),
        bias=_bias(layer, scale),
    )
    synapses = tuple(
        Synapse(
            target=layer.name,
            weight=rounded(synapse.weight, scale, peak),
            **{key: value for key, value in vars(synapse).items() if key != "weight"},
        )
        for synapse in layer.synapses
    )
    if layer.theta is not None:
        return [_Quantized(population=population, synapses=synapses, scale=scale, readout=None)]
    return [
        _Quantized(
            population=replace(population, dv=rate(reading.decay)),
            synapses=synapses,
            scale=scale,
            readout=Readout(
                population=layer.name, kind=reading.kind, scale=1.0 / (scale * reading.times)
            ),
        )
        for reading in layer.readings
    ]


def rate(keeps: float) -> int:
    """Decay per step in 12 bits."""
    return round(DECAY_UNITY * (1.0 - keeps))


def rounded(weight: np.ndarray, scale: float, peak: int) -> np.ndarray:
    """Weights as integers: w·S to the nearest, at most `peak`."""
    return np.clip(np.round(weight * scale), -peak, peak).astype(np.int32)


def _bias(layer: FloatLayer, scale: float) -> np.ndarray | None:
    bias = np.round(layer.bias * scale).astype(np.int32)
    return bias.reshape(-1, *(1 for _ in layer.shape[1:])) if bias.any() else None


def _program(network: FloatNetwork, built: tuple[_Quantized, ...]) -> Program:
    """The layers so far as a Program; its last layer is read if it is a read-out."""
    readout = built[-1].readout
    if network.meta.readout == "spikes":
        readout = Readout(population=built[-1].population.name, kind="spikes", scale=1.0)
    return Program(
        sources=(_source(network),),
        populations=tuple(layer.population for layer in built),
        synapses=tuple(s for layer in built for s in layer.synapses),
        outputs=(built[-1].population.name,),
        encoding=Encoding(
            offset=network.offset,
            steps=network.meta.steps,
            kind="frames" if network.takes_frames else "direct",
        ),
        readout=readout,
    )


def _source(network: FloatNetwork) -> Source:
    """Payloads of images or frames; frames of nothing but 0 and 1 are spikes."""
    is_binary = network.takes_frames and network.peak == 1
    return Source(
        name=network.source,
        shape=network.input_shape,
        low=-max(network.offset),
        high=network.peak - min(network.offset),
        message_bits=0 if is_binary else PAYLOAD_BITS,
    )
