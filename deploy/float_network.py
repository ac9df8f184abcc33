"""A network as the chip arranges it, before rounding: populations, weights, readings."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from ..attacks.lattice import Cells
from ..sim.classifier import LEVELS
from ..sim.graph.meta import NirMeta
from .neurons import Approximation


@dataclass(frozen=True, kw_only=True, eq=False)
class FloatSynapse:
    """Weights from a population (or the input) to another, in float64.

    Args:
        source: Name of the node that it reads.
        weight: `[out, in]` or `[out, in/groups, kH, kW]`.
        stride, padding, dilation: `(H, W)` of a convolution.
        groups: Channel groups of a convolution.
    """

    source: str
    weight: Float[np.ndarray, "..."]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1


@dataclass(frozen=True, kw_only=True)
class Reading:
    """`kind` as of `sim.interface.Readout`, of a membrane with this `decay`: `times` a logit."""

    kind: Literal["membrane", "sum"]
    decay: float
    times: int


@dataclass(frozen=True, kw_only=True, eq=False)
class FloatLayer:
    """One population to be: v ← decay·v + Σ weights·spikes + bias, firing above theta.

    Args:
        name: Name of the NIR node.
        shape: `(C, H, W)` or `(N,)`.
        synapses: What reaches it.
        bias: One value a channel or neuron.
        theta: Threshold; None for a read-out that never fires.
        decay: λ of the membrane, 1 keeps everything.
        synapse: What is left of the current that spikes bring after a step; 0 is none.
        readings: How a read-out that never fires can be read, the first that fits is.
    """

    name: str
    shape: tuple[int, ...]
    synapses: tuple[FloatSynapse, ...]
    bias: Float[np.ndarray, " C"]
    theta: float | None
    decay: float = 1.0
    synapse: float = 0.0
    readings: tuple[Reading, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class FloatNetwork:
    """A network as the chip arranges it, before rounding.

    Args:
        source: Name of the input node.
        input_shape: `(C, H, W)`.
        layers: In order of computation, the read-out last.
        meta: Steps, read-out and lattice.
        approximations: What differs from the graph.
    """

    source: str
    input_shape: tuple[int, ...]
    layers: tuple[FloatLayer, ...]
    meta: NirMeta
    approximations: tuple[Approximation, ...] = ()

    @property
    def takes_frames(self) -> bool:
        """Whether a sample is T frames, not an image."""
        return self.meta.encoding == "frames"

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """`(C, H, W)` of an image, or `(T·C, H, W)` of a stack of frames."""
        first, *rest = self.input_shape
        return (first * (self.meta.steps if self.takes_frames else 1), *rest)

    @property
    def cells(self) -> Cells | None:
        """What frames hold, as attacks have to know it; None of images."""
        frames = self.meta.input_frames
        if not self.takes_frames:
            return None
        unit = 1 if frames is None else frames.unit
        return Cells(steps=self.meta.steps, unit=unit, cap=self.peak)

    @property
    def peak(self) -> int:
        """Greatest level of a pixel, or of a frame's cell."""
        frames = self.meta.input_frames
        return LEVELS if frames is None else frames.cap

    @property
    def offset(self) -> tuple[int, ...]:
        """What is subtracted from the pixels of each channel."""
        lattice = self.meta.input_lattice
        return (lattice and lattice.offset) or (0,) * self.input_shape[0]
