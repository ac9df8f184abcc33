"""What a network is, apart from its weights."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from ..core.errors import ConfigError
from ..datasets.frames import CAP, FrameConfig

NEURONS = ("if", "lif", "relu")
ENCODINGS = ("direct", "frames")
READOUTS = ("membrane", "spikes")
LARGEST = 2**20
"""Most steps, and neurons side by side: beyond, torch's own integers overflow."""


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """A spiking network for images or for frames of events.

    Args:
        architecture: A name that `architectures.architecture` knows.
        input_shape: `(C, H, W)` of an image or a frame.
        classes: Number of classes K.
        steps: Time steps T.
        neuron: `if` keeps the whole membrane from step to step, `lif` the share `decay` of it;
            `relu` has no spikes and no time: an ordinary network with the same layers.
        decay: λ, 1 for `if` and `relu`, in (0, 1) for `lif`.
        theta: Threshold of every neuron.
        widths: Channels of each convolution.
        hidden: Neurons of each hidden dense layer.
        encoding: `direct` shows the same image at every step; `frames` takes T frames of events.
        frame_binning, frame_unit, frame_cap: For `frames`, how recordings become them:
            `FrameConfig`'s binning, unit and cap. Unit and cap of 1 make binary frames.
        readout: `membrane` averages the last layer's output over the steps (the published code);
            `spikes` counts what a last population fires (Liu et al. 2024, Eq. 8).
        mean: Lattice mean of each channel, 0..255; 0 for `frames`, whose empty cells stay empty.
        std: Standard deviation of each channel in input units (0 to 1), or for `frames` in
            what a cell holds.

    Raises:
        ConfigError: If a value is out of range, or values contradict each other.
    """

    architecture: str
    input_shape: tuple[int, int, int]
    classes: int
    steps: int = 8
    neuron: str = "if"
    decay: float = 1.0
    theta: float = 1.0
    widths: tuple[int, ...]
    hidden: tuple[int, ...]
    encoding: str = "direct"
    frame_binning: str = "count"
    frame_unit: int = 1
    frame_cap: int = CAP
    readout: str = "membrane"
    mean: tuple[int, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        _check_names(self)
        _check_neuron(self)
        _check_sizes(self)
        _check_encoding(self)

    @property
    def sample_shape(self) -> tuple[int, int, int]:
        """`(C, H, W)` of an image, or `(T·C, H, W)` of a stack of frames."""
        channels, height, width = self.input_shape
        return channels * (self.steps if self.encoding == "frames" else 1), height, width

    @property
    def frames(self) -> FrameConfig | None:
        """How recordings become its input; None for a network that takes images."""
        if self.encoding != "frames":
            return None
        return FrameConfig(
            steps=self.steps,
            binning=self.frame_binning,
            size=self.input_shape[1:],
            unit=self.frame_unit,
            cap=self.frame_cap,
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


def _check_names(config: NetworkConfig) -> None:
    for key, known in (("neuron", NEURONS), ("encoding", ENCODINGS), ("readout", READOUTS)):
        if getattr(config, key) not in known:
            raise ConfigError(
                f"expected {key} to be one of {', '.join(known)}, got {getattr(config, key)!r}; "
                "choose one"
            )


def _check_neuron(config: NetworkConfig) -> None:
    if config.neuron != "lif" and config.decay != 1.0:
        raise ConfigError(
            f"expected decay 1 for neuron {config.neuron!r}, got {config.decay}; "
            "set neuron to 'lif'"
        )
    if config.neuron == "relu" and (config.steps, config.readout) != (1, "membrane"):
        raise ConfigError(
            f"expected steps 1 and readout 'membrane' for neuron 'relu', got {config.steps} and "
            f"{config.readout!r}; it has no time"
        )
    if config.neuron == "lif" and not 0.0 < config.decay < 1.0:
        raise ConfigError(
            f"expected decay between 0 and 1 for neuron 'lif', got {config.decay}; "
            "set decay, or neuron to 'if'"
        )
    if not (config.theta > 0 and math.isfinite(config.theta)):
        raise ConfigError(f"expected theta > 0, got {config.theta}; the usual threshold is 1.0")


def _check_sizes(config: NetworkConfig) -> None:
    if config.steps < 1:
        raise ConfigError(f"expected steps >= 1, got {config.steps}; correct it")
    sizes = (*config.input_shape, *config.widths, *config.hidden)
    if len(config.input_shape) != 3 or not config.widths or min(sizes) < 1 or config.classes < 2:
        raise ConfigError(
            "expected input_shape (C, H, W), widths and hidden of at least 1 and classes of at "
            f"least 2, got input_shape {config.input_shape}, widths {config.widths}, hidden "
            f"{config.hidden}, classes {config.classes}; correct them"
        )
    largest = max(config.steps, *sizes)
    if largest > LARGEST:
        raise ConfigError(
            f"expected steps, input_shape, widths and hidden of at most {LARGEST}, got {largest}; "
            "correct it"
        )


def _check_encoding(config: NetworkConfig) -> None:
    channels = config.input_shape[0]
    if len(config.mean) != channels or len(config.std) != channels:
        raise ConfigError(
            f"expected a mean and a std for each of {channels} channels, got mean {config.mean} "
            f"and std {config.std}; use the training images' statistics"
        )
    if any(not 0 <= value <= 255 or value != int(value) for value in config.mean):
        raise ConfigError(
            f"expected lattice means 0..255, got {config.mean}; round the mean pixel value"
        )
    if config.encoding == "frames" and any(config.mean):
        raise ConfigError(
            f"expected mean 0 for frames of events, got {config.mean}; an empty cell has to stay 0"
        )
    if any(not (value > 0 and math.isfinite(value)) for value in config.std):
        raise ConfigError(f"expected std > 0, got {config.std}; use the training images' spread")
