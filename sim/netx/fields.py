"""Numbers of a `.net` layer: what cannot be meant is refused, what Lava changes is noted."""

import math

import numpy as np
from jaxtyping import Int64, Integer

from ...core.axes import lava_to_map
from ...core.errors import FormatError
from ..hdf5 import Fields
from ..per_neuron import fills
from ..program import MAX_DELAY
from ..whole_numbers import read_integers, read_whole

MAX_NEURONS = 1 << 26
Shapes = tuple[tuple[int, ...], ...]


def read_matrix(
    layer: Fields, key: str, shape: tuple[int, int | None], changes: list[str]
) -> Int64[np.ndarray, "out in"]:
    """A weight matrix, stated as one or as a row-major vector.

    Args:
        layer: Where it lies.
        key: Its name.
        shape: Its rows, and its columns where they are known.
        changes: Gets a line where numbers were changed.

    Raises:
        FormatError: If it has another shape.
    """
    rows, columns = shape
    stated = layer.shape(key)
    found = (rows, stated[0] // rows) if len(stated) == 1 and stated[0] % rows == 0 else stated
    if len(found) != 2 or found[0] != rows or columns not in (None, found[1]):
        raise FormatError(
            f"expected {layer.place}/{key} of shape [{rows}, {columns or 'in'}], got "
            f"{list(stated)}; mend the layer"
        )
    return read_whole(layer, key, changes).reshape(found)


def read_shape(layer: Fields, *, axes: tuple[int, ...] = (1, 3)) -> tuple[int, ...]:
    """A layer's `(C, H, W)` or `(N,)`; Lava fails on a number alone.

    Args:
        layer: Where it lies.
        axes: How many it may have.

    Raises:
        FormatError: If it is no such shape, or too large.
    """
    return _bounded(_integers(layer, "shape", tuple((n,) for n in axes)), layer)


def read_size(layer: Fields) -> int:
    """Neurons of a dense layer, of whose shape Lava takes the product.

    Raises:
        FormatError: If it is no shape of up to three axes, or too large.
    """
    return math.prod(_bounded(_integers(layer, "shape", ((), (1,), (2,), (3,))), layer))


def _bounded(stated: Integer[np.ndarray, "..."], layer: Fields) -> tuple[int, ...]:
    shape = tuple(int(n) for n in stated.reshape(-1))
    if min(shape) < 1 or math.prod(shape) > MAX_NEURONS:
        raise FormatError(
            f"expected {layer.place} to have a shape (C, H, W) or (N,) of at most 2^26 neurons, "
            f"got {shape}; mend the layer"
        )
    return shape


def read_pair(layer: Fields, key: str, *, least: int = 0) -> tuple[int, int]:
    """`(H, W)` of at least `least`, stated as two numbers or as one for both."""
    value = _at_least(least, _integers(layer, key, ((), (2,))), layer, key).reshape(-1).tolist()
    return value[0], value[-1]


def read_scalar(layer: Fields, key: str, *, least: int = 0, shapes: Shapes = ((), (1,))) -> int:
    """One integer of at least `least`."""
    return int(_at_least(least, _integers(layer, key, shapes), layer, key).reshape(-1)[0])


def _at_least(
    least: int, values: Integer[np.ndarray, "..."], layer: Fields, key: str
) -> Integer[np.ndarray, "..."]:
    if values.min() < least:
        raise FormatError(
            f"expected {layer.place}/{key} of at least {least}, got {values.min()}; mend the layer"
        )
    return values


def read_per_neuron(layer: Fields, key: str, shape: tuple[int, ...]) -> Integer[np.ndarray, "..."]:
    """One integer for all neurons or one for each, in the type that the file stores them in.

    Args:
        layer: Where they lie.
        key: Their name.
        shape: The neurons', `(C, H, W)` or `(N,)`.

    Returns:
        As our axes have it: a file states what numpy broadcasts to Lava's (W, H, C), so that a
        vector is one a channel.

    Raises:
        FormatError: If they have another shape, or are of a type on which Lava fails.
    """
    stated = layer.shape(key)
    if not fills(stated, shape[::-1]):
        raise FormatError(
            f"expected {layer.place}/{key} as one number or one for each neuron, in a shape that "
            f"fills {list(shape[::-1])}, (W, H, C) or (N,), got {list(stated)}; mend the layer"
        )
    values = read_integers(layer, key)
    return lava_to_map(values.reshape([1] * (len(shape) - values.ndim) + list(stated)))


def read_delay(
    layer: Fields, shape: tuple[int, ...], changes: list[str]
) -> int | Int64[np.ndarray, "out in"]:
    """Delays of a dense layer's synapses: one for all, or one for each of its weights.

    Raises:
        FormatError: If one is negative, or they are neither the outputs', nor the inputs', nor
            one for each weight.
    """
    place = layer.place
    if "delay" not in layer:
        return 0
    declared = layer.shape("delay")
    if declared not in ((), shape[:1], shape[1:], shape):
        raise FormatError(
            f"expected delays for the outputs, the inputs or all of {list(shape)} in {place}, got "
            f"shape {list(declared)}; mend the layer"
        )
    stated = read_whole(layer, "delay", changes)
    if stated.min() < 0:
        raise FormatError(
            f"expected delays of at least 0 in {place}, got {stated.min()}; mend the layer"
        )
    delay = np.minimum(stated, MAX_DELAY)
    if (stated > MAX_DELAY).any():
        changes.append(f"delays up to {stated.max()} outside 0..{MAX_DELAY}")
    if delay.ndim == 0:
        # Zeros too, where they are stated, are summed by Lava's process for delays.
        return int(delay) or np.zeros(shape, np.int64)
    if delay.ndim == 2:
        return delay
    # Lava takes a vector that could be either for the outputs'.
    by_output = delay.size == shape[0]
    return np.broadcast_to(delay[:, None] if by_output else delay, shape).copy()


def _integers(layer: Fields, key: str, shapes: Shapes) -> Integer[np.ndarray, "..."]:
    """A few integers, in the type that the file stores them in.

    Raises:
        FormatError: If they have another shape, or are of a type on which Lava fails.
    """
    stated = layer.shape(key)
    if stated not in shapes:
        raise FormatError(
            f"expected {layer.place}/{key} of shape {' or '.join(map(str, map(list, shapes)))}, "
            f"got {list(stated)}; mend the layer"
        )
    return read_integers(layer, key)
