"""What runs on the chip: a graph of populations and synapses, all of it integers.

A Program says nothing about where it came from (a `.net` file, a NIR file, a trained network) nor
how it is executed (the twin, Lava). Maps are `(C, H, W)`, vectors `(N,)`; names are Lava's.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped

from ..core.errors import FormatError, RangeError
from .interface import Encoding, Readout
from .per_neuron import PerNeuron, check_per_neuron, in_64_bits

DECAY_UNITY = 4096
"""A decay of 4096 forgets everything in one step, 0 forgets nothing (12 bits)."""
VTH_MAX = 131071
"""Largest threshold mantissa (17 bits)."""
STATE_SHIFT = 6
"""Activations, biases and thresholds enter the 24-bit registers shifted left by six bits."""
MAX_DELAY = 62
"""Longest delay of a synapse in Lava (6 bits)."""
BIAS = np.iinfo(np.int16)
"""Range of a bias mantissa in Lava."""
INT32 = 1 << 31
"""Lava sums in -2^31..2^31 - 1, and a file states weights and the like in 32 bits."""


PARAMETERS = {"du": "decays of u", "dv": "decays of v", "vth": "thresholds", "bias": "biases"}
"""What a population is told, and what messages call it."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """An input from outside the chip.

    Args:
        name: Its name in the graph.
        shape: `(C, H, W)` or `(N,)`.
        low, high: Least and greatest payload. `0, 1` is a binary spike.
        message_bits: 0 turns anything that is not 0 into 1; above 0 the payload multiplies.
    """

    name: str
    shape: tuple[int, ...]
    low: int = 0
    high: int = 1
    message_bits: int = 0

    @property
    def is_graded(self) -> bool:
        """Whether the payload multiplies."""
        return self.message_bits > 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Population:
    """Neurons that clear together: Lava's CUBA neuron.

        u ← decay(u, du) + (a << 6), wrapped;  v ← clip(decay(v, dv) + u + (bias << 6));
        spike if v > vth << 6, then v ← 0

    Args:
        name: Its name in the graph.
        shape: `(C, H, W)` or `(N,)`.
        du, dv: Decays of u and v (`iDecay` and `vDecay` of a `.net` file); 0..4096 on the chip. A
            file may state more here and below, and Lava computes on with it.
        vth: Threshold mantissa; 17 bits on the chip.
        bias: Bias mantissa within int16. None for none.
        phase: Which step of the reset cycle clears it: its depth behind the input.
        is_relay: A pure delay (one spike in, the same spike out): differentiated as the identity.

    Decays, threshold and bias are one number, or arrays broadcastable to `shape`.

    Raises:
        FormatError: If such an array holds no integers, or is not of its shape.
        RangeError: If a bias does not fit.
    """

    name: str
    shape: tuple[int, ...]
    du: PerNeuron = DECAY_UNITY
    dv: PerNeuron = 0
    vth: PerNeuron
    bias: Shaped[np.ndarray, "..."] | None = None
    phase: int = 0
    is_relay: bool = False

    def __post_init__(self) -> None:
        for key, kind in PARAMETERS.items():
            if (value := getattr(self, key)) is not None:
                check_per_neuron(value, self.shape, what=f"{kind} of population {self.name!r}")
        for key in ("du", "dv", "vth"):
            object.__setattr__(self, key, in_64_bits(getattr(self, key)))
        bias = 0 if self.bias is None else self.bias
        low, high = int(np.min(bias, initial=0)), int(np.max(bias, initial=0))
        if low < BIAS.min or high > BIAS.max:
            raise RangeError(
                f"expected biases of population {self.name!r} within {BIAS.min}..{BIAS.max}, got "
                f"{low}..{high}; Lava would wrap them, scale them down"
            )

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class Synapse:
    """Weights between two nodes; a spike that enters takes `1 + delay` steps.

    Args:
        source: Name of a source or a population.
        target: Name of a population.
        weight: int32; `[out, in]` of a dense synapse, `[out, in/groups, kH, kW]` of a convolution.
        shift: The sum over a dense synapse's inputs is shifted right by so many bits (floor).
        delay: Extra steps: a number, or int `[out, in]` for a dense synapse.
        stride, padding, dilation: `(H, W)` of a convolution.
        groups: Channel groups of a convolution.
    """

    source: str
    target: str
    weight: Int[np.ndarray, "..."]
    shift: int = 0
    delay: int | Int[np.ndarray, "out in"] = 0
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        least = min(*self.stride, *self.dilation, self.groups)
        if least < 1 or min(*self.padding, self.shift) < 0:
            raise FormatError(
                f"expected stride, dilation and groups of at least 1, padding and shift of at "
                f"least 0 in synapse {self.label}, got {self.stride}, {self.dilation}, "
                f"{self.groups}, {self.padding}, {self.shift}; correct them"
            )
        delay = np.asarray(self.delay)
        if delay.min(initial=0) < 0 or (delay.ndim and delay.shape != self.weight.shape):
            raise FormatError(
                f"expected delays of at least 0 for all of synapse {self.label} or for each of its "
                f"weights {list(self.weight.shape)}, got {delay.min(initial=0)} in shape "
                f"{list(delay.shape)}; correct them"
            )

    @property
    def is_conv(self) -> bool:
        """Whether it is a convolution."""
        return self.weight.ndim == 4

    @property
    def is_delayed(self) -> bool:
        """Whether delays are stated, if only zeros for each weight: Lava sums otherwise then."""
        return not isinstance(self.delay, int) or self.delay > 0

    @property
    def geometry(self) -> dict[str, Any]:
        """Options of a convolution, as torch names them."""
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }

    @property
    def label(self) -> str:
        """`source -> target`, for messages."""
        return f"{self.source} -> {self.target}"

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of what it adds to its target, given its source's shape.

        Raises:
            FormatError: If weights and source do not fit.
        """
        if not self.is_conv:
            if self.weight.ndim != 2 or self.weight.shape[1] != math.prod(shape):
                raise FormatError(
                    f"expected synapse {self.label} to have a weight [out, {math.prod(shape)}], "
                    f"got {list(self.weight.shape)}; its source has shape {shape}"
                )
            return (self.weight.shape[0],)
        out_channels, in_channels, *kernel = self.weight.shape
        if len(shape) != 3 or shape[0] != in_channels * self.groups or out_channels % self.groups:
            raise FormatError(
                f"expected synapse {self.label} to join {in_channels * self.groups} channels in "
                f"{self.groups} groups, got a source of shape {shape}; check weight and groups"
            )
        size = [
            (shape[1 + i] + 2 * self.padding[i] - self.dilation[i] * (kernel[i] - 1) - 1)
            // self.stride[i]
            + 1
            for i in range(2)
        ]
        if min(size) < 1:
            raise FormatError(
                f"expected synapse {self.label} to have an output, got {size}; its kernel "
                f"{kernel}, dilated by {self.dilation}, is larger than the padded source {shape}"
            )
        return (out_channels, *size)


@dataclass(frozen=True, kw_only=True, eq=False)
class Program:
    """A network on the chip.

    Populations are listed so that a trace can be numbered: population k is `s{k}` of a trace.

    Raises:
        FormatError: On construction, if names, edges and shapes do not fit together.
    """

    sources: tuple[Source, ...]
    populations: tuple[Population, ...]
    synapses: tuple[Synapse, ...]
    outputs: tuple[str, ...]
    encoding: Encoding | None = None
    readout: Readout | None = None
    notes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [node.name for node in (*self.sources, *self.populations)]
        if len(set(names)) != len(names):
            raise FormatError(f"expected unique names, got {names}; rename the repeated ones")
        for node in (*self.sources, *self.populations):
            if len(node.shape) not in (1, 3) or min(node.shape) < 1:
                raise FormatError(
                    f"expected {node.name!r} to have a shape (C, H, W) or (N,), got {node.shape}; "
                    f"correct it"
                )
        for synapse in self.synapses:
            self._check_synapse(synapse)
        for name in (*self.outputs, *([self.readout.population] if self.readout else [])):
            self.population(name)
        self._check_encoding()

    def _check_encoding(self) -> None:
        if (encoding := self.encoding) is None:
            return
        for source in self.sources:
            if len(encoding.offset) != source.shape[0] - bool(encoding.constant):
                raise FormatError(
                    f"expected an offset for each channel of {source.name!r} {source.shape}, got "
                    f"{len(encoding.offset)}; correct the encoding (a constant channel has none)"
                )
            is_held = source.is_graded and source.low <= encoding.constant <= source.high
            if encoding.constant and not is_held:
                raise FormatError(
                    f"expected the constant channel of {source.name!r} to hold a payload within "
                    f"{source.low}..{source.high}, got {encoding.constant}; correct the encoding"
                )

    def _check_synapse(self, synapse: Synapse) -> None:
        if synapse.source not in self.shapes or synapse.target not in self.shapes:
            raise FormatError(
                f"expected synapse {synapse.label} to join known nodes, got nodes "
                f"{sorted(self.shapes)}; add the missing one"
            )
        shape = synapse.output_shape(self.shapes[synapse.source])
        if shape != self.population(synapse.target).shape:
            raise FormatError(
                f"expected synapse {synapse.label} to fill shape "
                f"{self.population(synapse.target).shape}, got {shape}; check its parameters"
            )

    @property
    def sample_map(self) -> tuple[int, ...]:
        """`(C, H, W)` of an image or of one frame that it is shown: without a constant channel."""
        first, *rest = self.sources[0].shape
        return (first - bool(self.encoding and self.encoding.constant), *rest)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """`(C, H, W)` of an image that it is shown, or `(T·C, H, W)` of a stack of T frames."""
        first, *rest = self.sample_map
        return (first * (self.encoding.frames if self.encoding else 1), *rest)

    @property
    def peak(self) -> int:
        """Greatest level of a pixel, or of a frame's cell, that it is shown."""
        assert self.encoding is not None
        return self.sources[0].high + min(self.encoding.offset)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every node."""
        return {node.name: node.shape for node in (*self.sources, *self.populations)}

    @cached_property
    def _populations(self) -> dict[str, Population]:
        return {population.name: population for population in self.populations}

    def population(self, name: str) -> Population:
        """The population called `name`.

        Raises:
            FormatError: If there is none.
        """
        try:
            return self._populations[name]
        except KeyError:
            raise FormatError(
                f"expected a population among {sorted(self._populations)}, got {name!r}; "
                f"name one of them"
            ) from None

    def source(self, name: str) -> Source | None:
        """The external input called `name`, if there is one."""
        return next((source for source in self.sources if source.name == name), None)

    def into(self, name: str) -> tuple[Synapse, ...]:
        """The synapses that end in a population."""
        return tuple(synapse for synapse in self.synapses if synapse.target == name)

    def unlevelled(self) -> list[Synapse]:
        """Synapses whose source is not exactly one phase (plus delay) ahead of their target.

        Where there are none, a window of T steps a population gives exactly what Lava computes
        with a periodic reset, and populations can be computed one after the other.
        """
        phase = {p.name: p.phase for p in self.populations}
        phase |= {source.name: -1 for source in self.sources}
        return [
            s
            for s in self.synapses
            if not isinstance(s.delay, int) or phase[s.target] != phase[s.source] + 1 + s.delay
        ]
