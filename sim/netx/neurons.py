"""Neurons of a `.net` layer: Lava's CUBA neuron, its decays, threshold and biases."""

import math

import numpy as np

from ...core.axes import lava_to_map
from ...core.errors import FormatError, UnsupportedNodeError
from ..hdf5 import Fields
from ..per_neuron import PerNeuron, simplest
from ..program import BIAS, DECAY_UNITY, STATE_SHIFT, VTH_MAX, Population
from ..whole_numbers import read_whole
from .fields import read_per_neuron

NEVER_FIRES = 1 << 17
"""Threshold of the neurons that netx gives a dense layer without any: v never gets there, and is
always above its opposite."""
NEURON_TYPES = ("CUBA", "LOIHI")
LIMITS = {"iDecay": DECAY_UNITY, "vDecay": DECAY_UNITY, "vThMant": VTH_MAX}
"""Greatest number that the chip's field of each holds; the least is 0."""
IGNORED = {"refDelay": 1, "wgtExp": 0, "gradedSpike": False}
"""The value of each that changes nothing."""


def read_population(
    layer: Fields, name: str, shape: tuple[int, ...], changes: list[str], *, takes_bias: bool = True
) -> Population:
    """The neurons of a layer, with the mantissas that act in Lava.

    Args:
        layer: Where they lie.
        name: The population's.
        shape: `(C, H, W)` or `(N,)`.
        changes: Gets a line for each number that does not fit.
        takes_bias: Whether Lava gives them the bias that the layer states.

    Raises:
        UnsupportedNodeError: If they are of another type than CUBA, or state message bits.
        FormatError: If a field is missing or says nothing lawful, or Lava fails on its type.
    """
    bias = _bias(layer, shape, changes) if takes_bias and "bias" in layer else None
    if "neuron" not in layer and layer.text("type").startswith("dense"):
        changes.append("no neuron, for which u integrates without decay and no spike is ever sent")
        return Population(name=name, shape=shape, du=0, dv=DECAY_UNITY, vth=NEVER_FIRES, bias=bias)
    neuron = layer.group("neuron")
    kind = neuron.text("type")
    if kind not in NEURON_TYPES:
        raise UnsupportedNodeError(
            f"expected neurons of {layer.place} to be {' or '.join(NEURON_TYPES)}, got {kind!r}; "
            f"other neurons follow other equations"
        )
    if "messageBits" in neuron:
        raise UnsupportedNodeError(
            f"expected no messageBits in {neuron.place}, got the field; lava-dl fails on it, "
            f"these neurons send 0 and 1"
        )
    changes += _ignored(neuron)
    return Population(
        name=name,
        shape=shape,
        du=_decay(neuron, "iDecay", shape, changes),
        dv=_decay(neuron, "vDecay", shape, changes),
        vth=_threshold(neuron, shape, changes),
        bias=bias,
    )


def _ignored(neuron: Fields) -> list[str]:
    """Fields that say something on the chip and nothing to Lava."""
    stated = {key: neuron.numbers(key) for key in IGNORED if key in neuron}
    return [
        f"{key} {value.reshape(-1)[0]}, which Lava ignores"
        for key, value in stated.items()
        if value.size and (value != IGNORED[key]).any()
    ]


def _decay(neuron: Fields, key: str, shape: tuple[int, ...], changes: list[str]) -> PerNeuron:
    """The rate of which Lava's factor 4096 - rate is that which it computes in the stored type.

    Of iDecay netx takes 1 away, which the neuron adds again: no type shows it.

    Raises:
        FormatError: If Lava fails on the type: 8 bits do not hold 4096, and numpy multiplies a
            register by uint64 in float64, which Lava cannot shift.
    """
    stated = read_per_neuron(neuron, key, shape)
    if np.iinfo(stated.dtype).max < DECAY_UNITY or stated.dtype == np.uint64:
        raise FormatError(
            f"expected {neuron.place}/{key} in 16 or 32 bits or int64, got {stated.dtype}, on "
            f"which Lava fails; store it as int32"
        )
    rate = DECAY_UNITY - (DECAY_UNITY - stated).astype(np.int64)
    changes += _changes(key, stated, acting=rate)
    return simplest(rate)


def _threshold(neuron: Fields, shape: tuple[int, ...], changes: list[str]) -> PerNeuron:
    """The mantissa that acts: Lava shifts it in the stored type, whose upper bits are lost."""
    stated = read_per_neuron(neuron, "vThMant", shape)
    mantissa = np.left_shift(stated, STATE_SHIFT).astype(np.int64) >> STATE_SHIFT
    changes += _changes("vThMant", stated, acting=mantissa)
    return simplest(mantissa.clip(-NEVER_FIRES, NEVER_FIRES))


def _changes(key: str, stated: np.ndarray, *, acting: np.ndarray) -> list[str]:
    """What does not fit the chip, or is not computed with as it is stated: the first of each."""
    altered = acting != stated
    if altered.any():
        first, made = stated[altered][0], acting[altered][0]
        return [f"{key} {first} as {stated.dtype}, of which Lava makes {made}"]
    outside = (acting < 0) | (acting > LIMITS[key])
    return [f"{key} {acting[outside][0]} outside 0..{LIMITS[key]}"] if outside.any() else []


def _bias(layer: Fields, shape: tuple[int, ...], changes: list[str]) -> np.ndarray:
    declared = layer.shape("bias")
    count = math.prod(declared)
    is_vector = len(shape) == 1 and (count == 1 or (count, *declared[-1:]) == shape * 2)
    if not is_vector and declared not in (shape[::-1], shape[:1]):
        raise FormatError(
            f"expected {layer.place}/bias for each of {shape[0]} channels or neurons, got shape "
            f"{list(declared)}; mend the layer"
        )
    stated = read_whole(layer, "bias", changes)
    bias = stated.astype(BIAS.dtype)  # larger mantissas wrap
    if (bias != stated).any():
        changes.append(f"biases up to {int(np.abs(stated).max())} outside int16")
    if is_vector:
        return np.broadcast_to(bias.reshape(-1), shape).copy()
    if len(declared) == len(shape):
        return lava_to_map(bias)
    return bias.reshape(-1, *(1 for _ in shape[1:]))
