"""How a network is trained: options, and where they are read from."""

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch

from ..attacks.lattice import LEVELS
from ..core.errors import ConfigError
from ..datasets.frames import CAP, FrameConfig
from ..datasets.images import ImageData
from ..datasets.lattice import channel_std, lattice_mean
from ..sim.neurons.neuron import FUSED, KERNELS
from .architectures import USUAL, architecture
from .fields import convert_fields, field_types
from .gradient_penalty import FORMS
from .methods import method
from .network_config import NetworkConfig

STEP_FIELDS = ("attack_steps", "attack_step_size")
ATTACK_FIELDS = ("attack", "epsilon", *STEP_FIELDS)
PENALTY_FIELDS = ("penalty_weight", "penalty_step", "penalty_form")
PGD_L2 = "pgd-l2"
ATTACKS = ("pgd", PGD_L2, "fgsm", "rfgsm")
WITH_STEPS = ("pgd", PGD_L2)
MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training. The defaults are those of Liu et al. 2024, Table 5.

    Args:
        method: A name of `methods.METHODS`.
        epochs, batch_size: Passes over the training images, and images a step and process.
        learning_rate, momentum, weight_decay: Of SGD; the rate falls as a cosine over the epochs.
        attack: What adversarial training attacks with: `pgd`, `pgd-l2`, `fgsm` or `rfgsm`.
        epsilon, attack_steps, attack_step_size: Of that attack, in input units; of `pgd-l2`, whose
            steps have to reach the edge of its ball, as √Σδ².
        penalty_weight: λ of SR, SR* and GR.
        penalty_step: h of the finite difference, in input units.
        penalty_form: `squared` (the published code, to which the published λ belong) or
            `absolute` (the text's Eq. 14). A `spikes` read-out jumps by whole counts, which the
            squared form blows up until nothing fires: take `absolute` with it.
        orthogonality_weight: β of RAT.
        trades_weight: β of TRADES.
        augment: Random crops, and mirror images where the data set allows them.
        holdout: Share of the training images kept for validation; 0 for none.
        select_by: Which validation accuracy chooses the best checkpoint.
        validation_epsilon, validation_steps: PGD on the validation images, on the 8-bit lattice.
        validation_limit: Most validation images that are looked at.
        precision: `32-true`, or `bf16-mixed` (membranes add up in bf16 too, which flips spikes:
            only ever for training, validation computes in float32).
        memory_format: `contiguous`, or `channels_last`: how convolutions keep their maps.
        neuron_kernel: A name of `sim.neurons.neuron.KERNELS`: `fused`, `compiled` or `triton`.
        seed: Decides weights, split, order, augmentation and attack starts.

    Raises:
        ConfigError: If a value is out of range, or belongs to another method.
    """

    method: str = "vanilla"
    epochs: int = 200
    batch_size: int = 64
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    attack: str = "pgd"
    epsilon: float = 2 / 255
    attack_steps: int = 5
    attack_step_size: float = 0.01
    penalty_weight: float = 0.0
    penalty_step: float = 0.01
    penalty_form: str = "squared"
    orthogonality_weight: float = 0.0
    trades_weight: float = 6.0
    augment: bool = True
    holdout: float = 0.1
    select_by: str = "robust"
    validation_epsilon: float = 8 / 255
    validation_steps: int = 10
    validation_limit: int = 1000
    precision: str = "32-true"
    memory_format: str = "contiguous"
    neuron_kernel: str = FUSED
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (low, high, is_open) in RANGES.items():
            _check_range(name, getattr(self, name), low, high, is_open)
        for name, known in CHOICES.items():
            _check_choice(name, getattr(self, name), known)
        chosen = method(self.method)
        self._refuse(
            f"method {self.method!r}",
            *(() if chosen.attack else ATTACK_FIELDS),
            *(() if chosen.penalty else PENALTY_FIELDS),
            *(() if chosen.is_orthogonal else ("orthogonality_weight",)),
            *(("attack",) if chosen.is_trades else ("trades_weight",)),
        )
        if self.attack not in WITH_STEPS:
            self._refuse(f"attack {self.attack!r}", *STEP_FIELDS)
        if chosen.attack:
            self._check_ball()

    def _check_ball(self) -> None:
        """Of ℓ∞ a ball that leaves something of the image, of ℓ2 steps that fill it."""
        if self.attack != PGD_L2:
            _check_range("epsilon", self.epsilon, 0, 1, is_open=True)
        elif self.attack_steps * self.attack_step_size < self.epsilon:
            raise ConfigError(
                f"expected attack_steps * attack_step_size of at least epsilon {self.epsilon} with "
                f"attack {PGD_L2}, got {self.attack_steps} * {self.attack_step_size}; set "
                f"attack_step_size to {2.5 * self.epsilon / self.attack_steps:g}"
            )

    def _refuse(self, what: str, *names: str) -> None:
        """Refuses options that `what` would ignore."""
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name in names and value != entry.default:
                raise ConfigError(
                    f"expected no {entry.name} with {what}, got {value}; leave it out or choose "
                    "another"
                )

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


RANGES: dict[str, tuple[float | int, float | int, bool]] = {
    "epochs": (1, math.inf, False),
    "batch_size": (1, 2**31, False),
    "learning_rate": (0, math.inf, True),
    "momentum": (0, 1, False),
    "weight_decay": (0, math.inf, False),
    "epsilon": (0, math.inf, True),
    "attack_steps": (1, math.inf, False),
    "attack_step_size": (0, math.inf, True),
    "penalty_weight": (0, math.inf, False),
    "penalty_step": (0, math.inf, True),
    "orthogonality_weight": (0, math.inf, False),
    "trades_weight": (0, math.inf, True),
    "holdout": (0, 1, False),
    "validation_epsilon": (1 / LEVELS, 1, False),
    "validation_steps": (1, math.inf, False),
    "validation_limit": (1, math.inf, False),
    "seed": (0, 2**63, False),
}
"""Lowest value, first value that is too high, and whether the lowest itself is refused."""


CHOICES: dict[str, tuple[str, ...]] = {
    "attack": ATTACKS,
    "penalty_form": tuple(FORMS),
    "select_by": ("robust", "clean"),
    "precision": ("32-true", "bf16-mixed"),
    "memory_format": tuple(MEMORY_FORMATS),
    "neuron_kernel": tuple(KERNELS),
}
"""What else an option may be."""


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(
            f"expected {name} to be one of {', '.join(known)}, got {value!r}; choose one"
        )


def _check_range(
    name: str, value: float | int, low: float | int, high: float | int, is_open: bool
) -> None:
    if low < value < high or (value == low and not is_open):
        return
    sign, end = (">" if is_open else ">="), ("" if math.isinf(high) else f" and < {high}")
    raise ConfigError(f"expected {name} {sign} {low}{end}, got {value}; correct it")


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """What of a `NetworkConfig` does not follow from the data; None takes the usual value.

    `frame_size` is rows and columns of a frame; None keeps the sensor's.
    """

    architecture: str | None = None
    steps: int = 8
    neuron: str = "if"
    decay: float = 1.0
    theta: float = 1.0
    widths: tuple[int, ...] | None = None
    hidden: tuple[int, ...] | None = None
    encoding: str = "direct"
    frame_binning: str = "count"
    frame_unit: int = 1
    frame_cap: int = CAP
    frame_size: int | None = None
    readout: str = "membrane"

    def network(self, data: ImageData) -> NetworkConfig:
        """The network for a data set, with the statistics of its training images.

        Raises:
            ConfigError: If no architecture is named and none is usual for the image size, the
                network takes images and the data are recordings or the other way round, or images
                come with options for frames.
            DataError: If a channel of the training images never varies.
        """
        wanted, what = ("direct", "images") if data.steps is None else ("frames", "recordings")
        if self.encoding != wanted:
            raise ConfigError(
                f"expected encoding {wanted!r} for the {what} of {data.name}, got "
                f"{self.encoding!r}; choose a preset for {what}"
            )
        self._refuse_frames()
        maps, is_direct = data.train_maps, data.steps is None
        spread = channel_std(maps)
        return self.shaped(
            data.image_shape,
            classes=len(data.classes),
            mean=lattice_mean(maps) if is_direct else (0,) * len(spread),
            std=tuple(value / 255 for value in spread) if is_direct else spread,
        )

    def _refuse_frames(self) -> None:
        """Refuses options for frames that images would ignore."""
        for entry in fields(self) if self.encoding == "direct" else ():
            value = getattr(self, entry.name)
            if entry.name.startswith("frame_") and value != entry.default:
                raise ConfigError(
                    f"expected no {entry.name} for images, got {value}; leave it out or choose a "
                    "preset for recordings"
                )

    @property
    def frames(self) -> FrameConfig | None:
        """How recordings become the network's input; None for a network that takes images."""
        if self.encoding != "frames":
            return None
        size = None if self.frame_size is None else (self.frame_size, self.frame_size)
        return FrameConfig(
            steps=self.steps,
            binning=self.frame_binning,
            size=size,
            unit=self.frame_unit,
            cap=self.frame_cap,
        )

    def shaped(
        self,
        input_shape: tuple[int, int, int],
        *,
        classes: int,
        mean: tuple[int, ...],
        std: tuple[float, ...],
    ) -> NetworkConfig:
        """The network for inputs of one shape and given statistics.

        Raises:
            ConfigError: If no architecture is named and none is usual for the size.
        """
        name = self.architecture or _usual(input_shape[1:])
        plan = architecture(name)
        chosen = {
            "architecture": name,
            "widths": plan.widths if self.widths is None else self.widths,
            "hidden": plan.hidden if self.hidden is None else self.hidden,
        }
        options = asdict(self) | chosen
        del options["frame_size"]
        return NetworkConfig(
            **options,
            input_shape=input_shape,
            classes=classes,
            mean=mean,
            std=std,
        )


def _usual(size: tuple[int, int]) -> str:
    try:
        return USUAL[size]
    except KeyError:
        known = ", ".join(f"{h}x{w}" for h, w in USUAL)
        raise ConfigError(
            f"expected an architecture for images of {size[0]}x{size[1]}, got none; name one "
            f"(only {known} have a usual one)"
        ) from None


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A training and the network it is for: what a preset or a TOML file holds."""

    train: TrainConfig = field(default_factory=TrainConfig)
    network: NetworkOptions = field(default_factory=NetworkOptions)


def change(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """A recipe with some options replaced; keys are the fields of its two parts.

    Raises:
        ConfigError: If a key is unknown or a value wrong.
    """
    train_types, network_types = field_types(TrainConfig), field_types(NetworkOptions)
    known = convert_fields(values, train_types | network_types)
    return Recipe(
        train=replace(recipe.train, **{k: v for k, v in known.items() if k in train_types}),
        network=replace(recipe.network, **{k: v for k, v in known.items() if k in network_types}),
    )


def parse_settings(words: Iterable[str]) -> dict[str, str]:
    """`key=value` words as a mapping.

    Raises:
        ConfigError: If a word is not of that form.
    """
    settings: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"expected key=value, got {word!r}; write for example epochs=20")
        settings[key.strip()] = value.strip()
    return settings


def read_toml(path: Path) -> dict[str, Any]:
    """The keys of a TOML file.

    Raises:
        ConfigError: If it is absent or not TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            f"expected a TOML file at {path}, got {error}; check the path and its syntax"
        ) from error
