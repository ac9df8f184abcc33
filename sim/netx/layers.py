"""Layers of a `.net` file, one reader a kind: each adds to the network read so far."""

import math
from collections.abc import Callable

from ...core.errors import FormatError
from ..hdf5 import Fields
from ..whole_numbers import read_integers, read_whole
from .build import Build
from .conv import add_conv
from .dense import RECURRENT, add_dense
from .fields import read_shape
from .neurons import read_population


def _input(build: Build, layer: Fields, name: str) -> None:
    if build.populations or build.has_input:
        raise FormatError(
            f"expected one input in {build.path}, got {name} as a second; keep only the first"
        )
    build.has_input = True
    if "shape" in layer:
        build.shape_kind = read_integers(layer, "shape").dtype
    if "neuron" not in layer:
        build.declared = read_shape(layer, axes=(1, 2, 3)) if "shape" in layer else None
        return
    changes: list[str] = []
    _check_transform(layer)
    # netx keeps the bias of an input block for its caller and never applies it.
    population = read_population(layer, name, read_shape(layer), changes, takes_bias=False)
    build.add(population, changes)


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


def _flatten(build: Build, layer: Fields, name: str) -> None:
    del layer, name
    build.is_flattened = True


LAYERS: dict[str, Callable[[Build, Fields, str], None]] = {
    "input": _input,
    "conv": add_conv,
    "flatten": _flatten,
    "dense": add_dense,
    RECURRENT: add_dense,
}
