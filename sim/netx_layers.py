"""Layers of a `.net` file, one reader a kind: each adds to the network read so far."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Int64

from ..core.errors import FormatError, UnsupportedNodeError
from .hdf5 import Fields
from .netx_fields import (
    MAX_NEURONS,
    read_delay,
    read_matrix,
    read_pair,
    read_scalar,
    read_shape,
    read_size,
)
from .netx_neurons import read_population
from .netx_weights import dense_weights, recurrent_weights, weight_changes
from .program import Population, Program, Source, Synapse
from .whole_numbers import read_whole

INPUT = "input"
RECURRENT = "dense_rec"
AS_LAVA = "computed as Lava does"


def misfit(what: str, changes: Iterable[str]) -> str:
    """The one line that tells what of a layer, or of the input, does not fit the chip."""
    return f"expected {what} to fit the chip, got {'; '.join(changes)}; {AS_LAVA}"


@dataclass
class Build:
    """The network as far as it has been read."""

    path: str
    message_bits: int
    payload: tuple[int, int]
    sources: list[Source] = field(default_factory=list)
    populations: list[Population] = field(default_factory=list)
    synapses: list[Synapse] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    declared: tuple[int, ...] | None = None
    is_flattened: bool = False

    def entry(self, shape: tuple[int, ...]) -> str:
        """Name of what feeds the next layer; the external input comes into being here."""
        if self.populations:
            return self.populations[-1].name
        low, high = self.payload if self.message_bits else (0, 1)
        self.sources.append(
            Source(name=INPUT, shape=shape, low=low, high=high, message_bits=self.message_bits)
        )
        return INPUT

    def peak(self, name: str) -> int:
        """Greatest size of a value that a layer gets."""
        is_external = bool(self.sources) and self.sources[0].name == name
        return max(map(abs, self.payload)) if is_external and self.message_bits else 1

    def add(self, population: Population, changes: list[str]) -> None:
        """Adds the next population, numbered and phased by its place."""
        self.populations.append(replace(population, phase=len(self.populations)))
        if changes:
            self.warnings.append(misfit(f"{population.name} of {self.path}", changes))

    def program(self) -> Program:
        """The whole network.

        Raises:
            FormatError: If no layer has neurons.
        """
        if not self.populations:
            raise FormatError(
                f"expected a layer with neurons in {self.path}, got none; add a conv or dense layer"
            )
        return Program(
            sources=tuple(self.sources),
            populations=tuple(self.populations),
            synapses=tuple(self.synapses),
            outputs=(self.populations[-1].name,),
        )


def _input(build: Build, layer: Fields, name: str) -> None:
    if build.populations or build.declared is not None:
        raise FormatError(
            f"expected one input in {build.path}, got {name} as a second; keep only the first"
        )
    shape = read_shape(layer)
    if "neuron" not in layer:
        build.declared = shape
        return
    changes: list[str] = []
    _check_transform(layer)
    # netx keeps the bias of an input block for its caller and never applies it.
    build.add(read_population(layer, name, shape, changes, takes_bias=False), changes)


def _check_transform(layer: Fields) -> None:
    """Refuses a `weight` and `bias` of an input block on which netx fails; nothing applies them."""
    for key in ("weight", "bias"):
        if key in layer and math.prod(layer.shape(key)) != 1:
            raise FormatError(
                f"expected one number in {layer.place}/{key}, got shape {list(layer.shape(key))}; "
                f"state one for the whole input"
            )
        if key in layer:
            read_whole(layer, key, [])


def _conv(build: Build, layer: Fields, name: str) -> None:
    if build.is_flattened:
        raise FormatError(
            f"expected a dense layer after flatten, got {name} of {build.path}, a convolution; "
            f"move the flatten behind it"
        )
    shape, changes = read_shape(layer), []
    given = build.populations[-1].shape if build.populations else build.declared
    if given is None or len(given) != 3:
        raise FormatError(
            f"expected an input (C, H, W) of {name} of {build.path}, got {given}; state the "
            f"input's shape"
        )
    groups = int(read_scalar(layer, "groups", shapes=((),)))
    weight = _kernels(layer, (shape[0], given[0]), groups, changes)
    population = read_population(layer, name, shape, changes)
    synapse = Synapse(
        source=build.entry(given),
        target=name,
        weight=weight.astype(np.int32),
        stride=read_pair(layer, "stride"),
        padding=read_pair(layer, "padding"),
        dilation=read_pair(layer, "dilation"),
        groups=groups,
    )
    _check_padding(synapse, given, layer.place)
    build.synapses.append(synapse)
    build.add(population, changes)


def _kernels(
    layer: Fields, channels: tuple[int, int], groups: int, changes: list[str]
) -> Int64[np.ndarray, "out in kH kW"]:
    """Weights of a convolution, a trailing axis of one left out."""
    stated = layer.shape("weight")
    joined = (stated[0], stated[1] * groups) if len(stated) > 3 else ()
    if joined != channels or stated[4:] not in ((), (1,)):
        raise FormatError(
            f"expected {layer.place}/weight [out, in/groups, kH, kW] from {channels[1]} channels "
            f"to {channels[0]} in {groups} groups, got {list(stated)}; mend the layer"
        )
    return read_whole(layer, "weight", changes).reshape(stated[:4])


def _flatten(build: Build, layer: Fields, name: str) -> None:
    del layer, name
    build.is_flattened = True


def _dense(build: Build, layer: Fields, name: str) -> None:
    shape = (read_size(layer),)
    changes: list[str] = []
    previous = build.populations[-1].shape if build.populations else None
    if previous is not None and (len(previous) == 3) != build.is_flattened:
        raise FormatError(
            f"expected {name} of {build.path} to follow a map through flatten and a vector without "
            f"it, got an input of shape {previous}; mend the layer list"
        )
    build.is_flattened = False
    columns = None if previous is None else math.prod(previous)
    stated = read_matrix(layer, "weight", (shape[0], columns), changes)
    place = f"{name} of {build.path}"
    population = read_population(layer, name, shape, changes)
    source = build.entry((stated.shape[1],))
    if layer.text("type") == RECURRENT:
        _add_recurrent(build, layer, population, source, stated, changes)
        return
    acting = dense_weights(
        stated, place=place, peak=build.peak(source), is_delayed="delay" in layer
    )
    changes += weight_changes(stated, acting)
    delay = read_delay(layer, stated.shape, changes)
    build.synapses.append(
        Synapse(
            source=source,
            target=name,
            weight=acting.weight,
            shift=acting.shift,
            delay=delay,
        )
    )
    build.add(population, changes)


def _add_recurrent(
    build: Build,
    layer: Fields,
    population: Population,
    source: str,
    stated: np.ndarray,
    changes: list[str],
) -> None:
    name, place = population.name, f"{population.name} of {build.path}"
    if "delay" in layer:
        raise UnsupportedNodeError(
            f"expected no delay in the recurrent {place}, got one; Lava's result is not known"
        )
    if len(layer.shape("weight")) == 2 != len(layer.shape("weight_rec")):
        raise FormatError(
            f"expected {layer.place}/weight_rec as a matrix where weight is one, got shape "
            f"{list(layer.shape('weight_rec'))}; mend the layer"
        )
    square = (population.size, population.size)
    recurrent = read_matrix(layer, "weight_rec", square, changes)
    halves = recurrent_weights(stated, recurrent, place=place, peak=build.peak(source))
    for start, given, half in zip((source, name), (stated, recurrent), halves, strict=True):
        changes += weight_changes(given, half)
        build.synapses.append(
            Synapse(source=start, target=name, weight=half.weight, shift=half.shift)
        )
    build.add(population, changes)


LAYERS: dict[str, Callable[[Build, Fields, str], None]] = {
    "input": _input,
    "conv": _conv,
    "flatten": _flatten,
    "dense": _dense,
    RECURRENT: _dense,
}


def _check_padding(synapse: Synapse, shape: tuple[int, ...], place: str) -> None:
    height, width = (n + 2 * p for n, p in zip(shape[1:], synapse.padding, strict=True))
    if shape[0] * height * width > MAX_NEURONS:
        raise FormatError(
            f"expected a padded input of at most 2^26 values in {place}, got {shape} with padding "
            f"{synapse.padding}; mend the layer"
        )
