"""Dense layers of a `.net` file: plain, delayed, recurrent, or without neurons."""

import math

import numpy as np

from ...core.errors import FormatError, UnsupportedNodeError
from ..hdf5 import Fields
from ..program import Population, Synapse
from .build import Build
from .fields import read_delay, read_matrix, read_size
from .neurons import read_population
from .weights import dense_weights, recurrent_weights, weight_changes

RECURRENT = "dense_rec"


def add_dense(build: Build, layer: Fields, name: str) -> None:
    """Adds a dense layer with its neurons, delayed or recurrent where the file says so."""
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
