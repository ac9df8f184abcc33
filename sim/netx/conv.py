"""Convolutions of a `.net` file."""

import numpy as np
from jaxtyping import Int64

from ...core.errors import FormatError
from ..hdf5 import Fields
from ..program import Synapse
from ..whole_numbers import read_integers, read_whole
from .build import Build
from .fields import MAX_NEURONS, read_pair, read_scalar, read_shape
from .neurons import read_population


def add_conv(build: Build, layer: Fields, name: str) -> None:
    """Adds a convolution with its neurons. A `flatten` before it waits for a dense layer."""
    given, changes = build.shape, []
    if given is None or len(given) != 3:
        raise FormatError(
            f"expected an input (C, H, W) of {name} of {build.path}, got {given}; state the "
            f"input's shape"
        )
    shape = read_shape(layer)
    groups = read_scalar(layer, "groups", least=1, shapes=((),))
    weight = _kernels(layer, (shape[0], given[0]), groups, changes)
    if "delay" in layer:
        changes.append("a delay, which Lava ignores in a convolution")
    population = read_population(layer, name, shape, changes)
    synapse = Synapse(
        source=build.entry(given),
        target=name,
        weight=weight.astype(np.int32),
        stride=read_pair(layer, "stride", least=1),
        padding=read_pair(layer, "padding"),
        dilation=read_pair(layer, "dilation", least=1),
        groups=groups,
    )
    _check_padding(synapse, given, layer.place)
    _check_output(synapse, build, shape, layer)
    build.shape_kind = read_integers(layer, "shape").dtype
    build.synapses.append(synapse)
    build.add(population, changes)


def _kernels(
    layer: Fields, channels: tuple[int, int], groups: int, changes: list[str]
) -> Int64[np.ndarray, "out in kH kW"]:
    """Weights of a convolution, trailing axes of one left out."""
    stated = layer.shape("weight")
    joined = (stated[0], stated[1] * groups) if len(stated) > 3 else ()
    if joined != channels or set(stated[4:]) - {1}:
        raise FormatError(
            f"expected {layer.place}/weight [out, in/groups, kH, kW] from {channels[1]} channels "
            f"to {channels[0]} in {groups} groups, got {list(stated)}; mend the layer"
        )
    return read_whole(layer, "weight", changes).reshape(stated[:4])


def _check_padding(synapse: Synapse, given: tuple[int, ...], place: str) -> None:
    height, width = (n + 2 * p for n, p in zip(given[1:], synapse.padding, strict=True))
    if given[0] * height * width > MAX_NEURONS:
        raise FormatError(
            f"expected a padded input of at most 2^26 values in {place}, got {given} with padding "
            f"{synapse.padding}; mend the layer"
        )


def _check_output(synapse: Synapse, build: Build, shape: tuple[int, ...], layer: Fields) -> None:
    """Refuses a shape that is not the convolution's, or not by Lava's own reckoning.

    Lava reckons in the types of the file, and 8 bits do not hold 200 + 2·60.
    """
    given = build.shape
    assert given is not None
    exact = synapse.output_shape(given)
    if exact != shape:
        raise FormatError(
            f"expected {layer.place}/shape {list(exact)}, which input {list(given)}, kernel, "
            f"stride, padding and dilation give, got {list(shape)}; mend the layer"
        )
    kinds = {key: read_integers(layer, key).dtype for key in ("stride", "padding", "dilation")}
    with np.errstate(over="ignore"):
        found = [_reckoned(synapse, axis, given, build.shape_kind, kinds) for axis in range(2)]
    if found != list(shape[1:]):
        listed = ", ".join(f"{key} in {kind}" for key, kind in kinds.items())
        raise FormatError(
            f"expected {layer.place} to hold types in which Lava reckons its shape {list(shape)}, "
            f"got {listed} and an input shape in {build.shape_kind}; store all as int32"
        )


def _reckoned(
    synapse: Synapse,
    axis: int,
    given: tuple[int, ...],
    kind: np.dtype,
    kinds: dict[str, np.dtype],
) -> int:
    """Height or width as `lava.proc.conv.utils.output_shape` computes it; −1 where it fails."""
    n = kind.type(given[1 + axis])
    stride, padding, dilation = (kinds[key].type(getattr(synapse, key)[axis]) for key in kinds)
    reach = synapse.weight.shape[2 + axis] - 1
    try:
        return int(np.floor((n + 2 * padding - dilation * reach - 1) / stride + 1))
    except OverflowError:  # a kernel that the type of the dilation does not hold
        return -1
