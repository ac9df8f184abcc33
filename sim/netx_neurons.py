"""Neurons of a `.net` layer: Lava's CUBA neuron, its decays, threshold and biases."""

import numpy as np

from ..core.axes import lava_to_map
from ..core.errors import FormatError, UnsupportedNodeError
from .hdf5 import Fields
from .netx_fields import read_scalar, read_whole
from .program import DECAY_UNITY, VTH_MAX, Population

NEVER_FIRES = 1 << 17
"""Threshold of the neurons that netx gives a dense layer without any: v never gets there."""
NEURON_TYPES = ("CUBA", "LOIHI")
LIMITS = {"iDecay": DECAY_UNITY, "vDecay": DECAY_UNITY, "vThMant": VTH_MAX}
"""Greatest number that the chip's field of each holds; the least is 0."""


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
        FormatError: If a field is missing or says nothing lawful.
    """
    bias = _bias(layer, shape, changes) if takes_bias and "bias" in layer else None
    if "neuron" not in layer and layer.text("type").startswith("dense"):
        changes.append("no neuron, for which u integrates without decay and no spike is ever sent")
        return Population(name=name, shape=shape, du=0, dv=DECAY_UNITY, vth=NEVER_FIRES, bias=bias)
    neuron = layer.group("neuron")
    kind = neuron.text("type")
    if kind not in NEURON_TYPES:
        raise UnsupportedNodeError(
            f"expected neurons of {name} to be {' or '.join(NEURON_TYPES)}, got {kind!r}; other "
            f"neurons follow other equations"
        )
    if "messageBits" in neuron:
        raise UnsupportedNodeError(
            f"expected no messageBits in neurons of {name}, got the field; lava-dl fails on it, "
            f"these neurons send 0 and 1"
        )
    stated = {key: read_scalar(neuron, key) for key in LIMITS}
    changes += [
        f"{key} {value} outside 0..{LIMITS[key]}"
        for key, value in stated.items()
        if not 0 <= value <= LIMITS[key]
    ]
    return Population(
        name=name,
        shape=shape,
        du=stated["iDecay"],
        dv=stated["vDecay"],
        # Lava shifts the mantissa in int32, so only its low 26 bits count.
        vth=((stated["vThMant"] + (1 << 25)) & ((1 << 26) - 1)) - (1 << 25),
        bias=bias,
    )


def _bias(layer: Fields, shape: tuple[int, ...], changes: list[str]) -> np.ndarray:
    stated = read_whole(layer, "bias", changes)
    bias = stated.astype(np.int16)  # Lava's own type: larger mantissas wrap
    if (bias != stated).any():
        changes.append(f"biases up to {int(np.abs(stated).max())} outside int16")
    if len(shape) == 1 and bias.size in (1, shape[0]):
        return np.broadcast_to(bias.reshape(-1), shape).copy()
    if bias.shape == shape[::-1]:
        return lava_to_map(bias)
    if bias.ndim == 1 and bias.shape[0] == shape[0]:
        return bias.reshape(-1, *(1 for _ in shape[1:]))
    raise FormatError(
        f"expected {layer.place}/bias for each of {shape[0]} channels or neurons, got shape "
        f"{list(bias.shape)}; mend the layer"
    )
