"""`.net` files: lava-dl's netx networks as Programs, with what Lava makes of every number."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..core.axes import lava_to_map
from ..core.errors import FormatError, RangeError, UnsupportedNodeError
from .hdf5 import Fields, listed, open_hdf5
from .netx_fields import MAX_NEURONS, read_matrix, read_pair, read_scalar, read_shape, read_whole
from .netx_weights import MIXED_HIGH, MIXED_LOW, dense_weights, recurrent_weights
from .program import DECAY_UNITY, VTH_MAX, Population, Program, Source, Synapse

INPUT = "input"
RECURRENT = "dense_rec"
MAX_DELAY = 62
NEVER_FIRES = 1 << 17
NEURON_TYPES = ("CUBA", "LOIHI")


@dataclass(frozen=True, kw_only=True)
class NetxNetwork:
    """A `.net` file as a Program.

    Args:
        program: Population k is `s{k}` of a trace; an external input is the source `input`.
        warnings: One line a layer whose numbers do not fit the chip and which Lava changes
            silently; the Program holds what Lava makes of them.
    """

    program: Program
    warnings: tuple[str, ...] = ()

    @property
    def is_bias_driven(self) -> bool:
        """Whether the first population is an input block that only its bias drives."""
        return not self.program.sources


def read_netx(
    path: Path,
    *,
    message_bits: int = 0,
    payload: tuple[int, int] = (0, 1),
    strict: bool = False,
) -> NetxNetwork:
    """Reads a `.net` file.

    Args:
        path: The file.
        message_bits: Above 0, external input is a payload that multiplies.
        payload: Least and greatest payload.
        strict: Whether to refuse what Lava would change silently.

    Raises:
        FormatError: If the file is damaged or incomplete, or its layers do not fit together.
        UnsupportedNodeError: If a layer or neuron type is not known.
        RangeError: If `strict` and a number does not fit.
    """
    with open_hdf5(path) as file:
        root = Fields(file, str(path)).group("layer")
        build = _Build(path=str(path), message_bits=message_bits, payload=payload)
        for index in range(_layer_count(root, str(path))):
            layer = root.group(str(index))
            kind = layer.text("type")
            if kind not in LAYERS:
                raise UnsupportedNodeError(
                    f"expected layer {index} of {path} to be one of {', '.join(LAYERS)}, got "
                    f"{kind!r}; Lava skips or refuses it, rewrite the network"
                )
            LAYERS[kind](build, layer, f"layer{index}")
    network = build.finish()
    if strict and network.warnings:
        raise RangeError(network.warnings[0])
    return network


@dataclass
class _Build:
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
            self.warnings.append(
                f"expected {population.name} of {self.path} to fit the chip, got "
                f"{'; '.join(changes)}; computed as Lava does"
            )

    def finish(self) -> NetxNetwork:
        """The whole network."""
        if not self.populations:
            raise FormatError(
                f"expected a layer with neurons in {self.path}, got none; add a conv or dense layer"
            )
        program = Program(
            sources=tuple(self.sources),
            populations=tuple(self.populations),
            synapses=tuple(self.synapses),
            outputs=(self.populations[-1].name,),
        )
        return NetxNetwork(program=program, warnings=tuple(self.warnings))


def _layer_count(root: Fields, path: str) -> int:
    names = set(root.names())
    if names != {str(index) for index in range(len(names))} or not names:
        raise FormatError(
            f"expected layers 0..n-1 in {path}, got {listed(sorted(names))}; number them without "
            f"a gap"
        )
    return len(names)


def _input(build: _Build, layer: Fields, name: str) -> None:
    if build.populations or build.declared is not None:
        raise FormatError(
            f"expected one input in {build.path}, got {name} as a second; keep only the first"
        )
    shape = read_shape(layer)
    if "neuron" not in layer:
        build.declared = shape
        return
    changes: list[str] = []
    build.add(_population(layer, name, shape, changes), changes)


def _conv(build: _Build, layer: Fields, name: str) -> None:
    if build.is_flattened:
        raise FormatError(
            f"expected a dense layer after flatten, got {name} of {build.path}, a convolution; "
            f"remove the flatten"
        )
    shape, changes = read_shape(layer), []
    weight = read_whole(layer, "weight", changes)
    if weight.ndim == 5 and weight.shape[4] == 1:
        weight = weight[..., 0]
    given = build.populations[-1].shape if build.populations else build.declared
    if weight.ndim != 4 or given is None or len(given) != 3:
        raise FormatError(
            f"expected {name} of {build.path} to have a weight [out, in, kH, kW] and an input "
            f"(C, H, W), got {list(weight.shape)} and {given}; state the input's shape"
        )
    population = _population(layer, name, shape, changes)
    synapse = Synapse(
        source=build.entry(given),
        target=name,
        weight=weight.astype(np.int32),
        stride=read_pair(layer, "stride"),
        padding=read_pair(layer, "padding"),
        dilation=read_pair(layer, "dilation"),
        groups=read_pair(layer, "groups")[0],
    )
    _check_padding(synapse, given, layer.place)
    build.synapses.append(synapse)
    build.add(population, changes)


def _flatten(build: _Build, layer: Fields, name: str) -> None:
    del layer, name
    build.is_flattened = True


def _dense(build: _Build, layer: Fields, name: str) -> None:
    shape = (int(np.prod(read_shape(layer))),)
    changes: list[str] = []
    stated = read_matrix(layer, "weight", shape[0], changes)
    previous = build.populations[-1].shape if build.populations else None
    if previous is not None and (len(previous) == 3) != build.is_flattened:
        raise FormatError(
            f"expected {name} of {build.path} to follow a map through flatten and a vector without "
            f"it, got an input of shape {previous}; mend the layer list"
        )
    build.is_flattened = False
    place = f"{name} of {build.path}"
    population = _population(layer, name, shape, changes)
    source = build.entry((stated.shape[1],))
    if layer.text("type") == RECURRENT:
        _add_recurrent(build, layer, population, source, stated, changes)
        return
    # With delays, zeros included, Lava sums in 64 bits: no size of input wraps a sum.
    peak = 1 if "delay" in layer else build.peak(source)
    acting = dense_weights(stated, place=place, peak=peak)
    _note_change(stated, acting.weight, acting.shift, changes)
    delay = _delay(layer, stated.shape, place, changes)
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
    build: _Build,
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
    recurrent = read_matrix(layer, "weight_rec", population.size, changes)
    if recurrent.shape[1] != population.size:
        raise FormatError(
            f"expected weight_rec of {place} to be square, got {list(recurrent.shape)}; mend the "
            f"layer"
        )
    halves = recurrent_weights(stated, recurrent, place=place, peak=build.peak(source))
    for start, given, half in zip((source, name), (stated, recurrent), halves, strict=True):
        _note_change(given, half.weight, half.shift, changes)
        build.synapses.append(
            Synapse(source=start, target=name, weight=half.weight, shift=half.shift)
        )
    build.add(population, changes)


LAYERS: dict[str, Callable[[_Build, Fields, str], None]] = {
    "input": _input,
    "conv": _conv,
    "flatten": _flatten,
    "dense": _dense,
    RECURRENT: _dense,
}


def _population(layer: Fields, name: str, shape: tuple[int, ...], changes: list[str]) -> Population:
    bias = _bias(layer, shape, changes) if "bias" in layer and layer.text("type") != INPUT else None
    if "neuron" not in layer and layer.text("type").startswith("dense"):
        # Lava's default: u integrates without decay, v shows it, and no spike is ever reached.
        return Population(name=name, shape=shape, du=0, dv=DECAY_UNITY, vth=NEVER_FIRES, bias=bias)
    neuron = layer.group("neuron")
    kind = neuron.text("type")
    if kind not in NEURON_TYPES:
        raise UnsupportedNodeError(
            f"expected neurons of {name} to be {' or '.join(NEURON_TYPES)}, got {kind!r}; other "
            f"neurons follow other equations"
        )
    du, dv, vth = (read_scalar(neuron, key) for key in ("iDecay", "vDecay", "vThMant"))
    for label, value, high in (
        ("iDecay", du, 4096),
        ("vDecay", dv, 4096),
        ("vThMant", vth, VTH_MAX),
    ):
        if not 0 <= value <= high:
            changes.append(f"{label} {value} outside 0..{high}")
    # Lava shifts the mantissa in int32, so only its low 26 bits count.
    vth = ((vth + (1 << 25)) & ((1 << 26) - 1)) - (1 << 25)
    return Population(name=name, shape=shape, du=du, dv=dv, vth=vth, bias=bias)


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


def _delay(
    layer: Fields, shape: tuple[int, ...], place: str, changes: list[str]
) -> int | np.ndarray:
    if "delay" not in layer:
        return 0
    stated = read_whole(layer, "delay", changes)
    if stated.min() < 0:
        raise FormatError(
            f"expected delays of at least 0 in {place}, got {stated.min()}; mend the layer"
        )
    delay = np.minimum(stated, MAX_DELAY)
    if (stated > MAX_DELAY).any():
        changes.append(f"delays up to {stated.max()} outside 0..{MAX_DELAY}")
    if delay.ndim == 0:
        return int(delay)
    if delay.ndim == 1 and delay.size == shape[0]:
        return np.repeat(delay[:, None], shape[1], axis=1)
    if delay.ndim == 1 and delay.size == shape[1]:
        return np.repeat(delay[None, :], shape[0], axis=0)
    if delay.shape == shape:
        return delay
    raise FormatError(
        f"expected delays for the outputs, the inputs or all of {list(shape)} in {place}, got "
        f"shape {list(delay.shape)}; mend the layer"
    )


def _note_change(stated: np.ndarray, acting: np.ndarray, shift: int, changes: list[str]) -> None:
    if np.array_equal(np.left_shift(stated, shift), acting):
        return
    if not acting.any():
        changes.append(
            f"weights of one sign up to {int(np.abs(stated).max())}, all of which Lava sets to 0"
        )
    elif stated.min() < MIXED_LOW or stated.max() > MIXED_HIGH:
        changes.append(f"weights {stated.min()}..{stated.max()} outside {MIXED_LOW}..{MIXED_HIGH}")
    else:
        changes.append(f"weights of one sign, of which Lava rounds {int(stated.min())}")


def _check_padding(synapse: Synapse, shape: tuple[int, ...], place: str) -> None:
    height, width = (n + 2 * p for n, p in zip(shape[1:], synapse.padding, strict=True))
    if shape[0] * height * width > MAX_NEURONS:
        raise FormatError(
            f"expected a padded input of at most 2^26 values in {place}, got {shape} with padding "
            f"{synapse.padding}; mend the layer"
        )
