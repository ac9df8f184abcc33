"""How much a reproduction may cost, and which training a row of a table stands for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.choice import chosen
from ..core.errors import ConfigError
from ..datasets.images import ImageData
from ..datasets.spec import EVENT_KINDS, parse_spec
from ..train.config import Recipe, change
from ..train.presets import INPUTS, PRESETS

SMALL = "-small"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A budget.

    Args:
        name: Its key in the table of scales.
        says: What is left out against the paper, in words.
        is_small: Whether the presets for two CPU cores are taken where there are any.
        limit: First training and test samples that are used at all; None for all.
        samples: Test samples that are attacked; None for all.
        settings: What presets are changed to, by the data's name in the presets; `*` for others.
        searched: Held-out samples that the chip's scales are searched on.
        weights: λ of a sweep.
        curve: Levels of the audits' curve over epsilon.
        timed: Epochs that are timed, the first of them to warm up.
        batch: Samples of a batch under attack.
        draws: Random perturbations that a vulnerability is the mean over.
    """

    name: str
    says: str
    is_small: bool
    limit: int | None
    samples: int | None
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    searched: int = 128
    weights: tuple[float, ...] = (0.0, 0.002, 0.004, 0.006, 0.008)
    curve: tuple[int, ...] = (0, 2, 8, 32, 128, 255)
    timed: int = 4
    batch: int = 32
    draws: int = 64

    def preset(self, data: str, method: str) -> Recipe:
        """The preset of a method for data of a name: the small one where the scale is small."""
        usual = f"{data}-{method}"
        small = usual + SMALL if self.is_small else usual
        return chosen(PRESETS, small if small in PRESETS else usual, what="a preset")

    def recipe(self, block: "Block", method: str, *, seed: int, **changes: Any) -> Recipe:
        """The training of a method in a block."""
        recipe = Recipe(
            train=self.preset(block.data, method).train,
            network=self.preset(block.network, method).network,
        )
        settings = self.settings.get(block.data, self.settings.get("*", {}))
        return change(recipe, {**settings, "seed": seed, **changes})


@dataclass(frozen=True, kw_only=True)
class Block:
    """Rows of a table that share data and architecture.

    Args:
        label: As `printed` knows it.
        data: Name of the data in the presets, which decides how is trained.
        network: Name of the presets that have the architecture.
        stands_for: Label of the published block that it is held against, where that is another.
    """

    label: str
    data: str
    network: str
    stands_for: str | None = None

    @property
    def published(self) -> str:
        """Label of the block in the paper."""
        return self.stands_for or self.label


_EVENTS = {name: {"epochs": 1, "validation_limit": 16} for name in ("nmnist", "pairs", "aedat")}
SCALES: dict[str, Scale] = {
    scale.name: scale
    for scale in (
        Scale(
            name="full",
            says="the paper's settings: T, epochs, networks, all test samples",
            is_small=False,
            limit=None,
            samples=None,
            batch=128,
        ),
        Scale(
            name="subset",
            says="networks for two CPU cores where the preset has one, fewer epochs and steps, "
            "100 test samples",
            is_small=True,
            limit=None,
            samples=100,
            settings={
                "cifar": {"steps": 4, "epochs": 8},
                "cifar100": {"steps": 4, "epochs": 8},
                "dvs": {"epochs": 8},
                "fashion": {"steps": 4, "epochs": 3, "widths": "8,16"},
            },
            timed=3,
            batch=50,
        ),
        Scale(
            name="smoke",
            says="600 samples, 3 epochs (recordings: 1), T = 4 for images, 8 test samples: that "
            "all of it runs, and no more",
            is_small=True,
            limit=600,
            samples=8,
            settings={
                "*": {"steps": 4, "epochs": 3, "validation_limit": 24, "validation_steps": 3},
                "dvs": {"epochs": 1, "validation_limit": 8},
                **_EVENTS,
            },
            searched=16,
            weights=(0.0, 0.008),
            curve=(0, 255),
            timed=2,
            batch=8,
            draws=16,
        ),
    )
}

NAMES: dict[str, str] = {
    "digits": "digits",
    "cifar10": "cifar",
    "cifar100": "cifar100",
    "mnist": "mnist",
    "fashion-mnist": "fashion",
    "nmnist": "nmnist",
    "cifar10-dvs": "dvs",
    "aedat": "aedat",
    "mnist-pairs-recordings": "pairs",
}
"""What presets call the data of a SPEC."""


def is_of_events(spec: str) -> bool:
    """Whether a SPEC names recordings."""
    return parse_spec(spec).kind in EVENT_KINDS


def data_name(spec: str, data: ImageData | None = None) -> str:
    """What presets call the data of a SPEC; of an `.npz` file, by size and number of classes.

    Raises:
        ConfigError: If no preset is for it.
    """
    kind = parse_spec(spec).kind
    if kind in NAMES:
        return NAMES[kind]
    shape = None if data is None else (tuple(data.image_shape), len(data.classes))
    found = [name for name, entry in INPUTS.items() if entry == shape]
    if not found:
        raise ConfigError(
            f"expected data that presets are for, got {spec}; name one of {', '.join(NAMES)}, or "
            "an .npz file of their sizes"
        )
    return found[0]


def blocks_of(published: tuple[Block, ...], name: str) -> tuple[Block, ...]:
    """The blocks that data of a name can fill: published ones, or one that stands for the first."""
    found = tuple(block for block in published if block.data == name)
    if found:
        return found
    first = published[0]
    return (Block(label=name, data=name, network=name, stands_for=first.label),)
