"""What `deploy` takes from data: samples to search scales on, and what fine-tuning learns from."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import ConfigError
from ..datasets.spec import parse_spec
from .progress import RichTracker

if TYPE_CHECKING:
    from ..datasets.frames import FrameConfig
    from ..deploy.deployment import Calibration
    from ..deploy.finetune import Tuning
    from ..train.config import TrainConfig


def held_out(
    spec: str,
    *,
    seed: int,
    count: int = 128,
    frames: "FrameConfig | None" = None,
    repair: bool = False,
) -> "Calibration":
    """Samples of a data set's training part; never of its test part."""
    from ..datasets.images import load
    from ..deploy.calibration import held_out as held_out_of

    data = load(spec, frames=frames, mend=repair, tracker=RichTracker())
    return held_out_of(data, where=spec, kind=parse_spec(spec).kind, seed=seed, count=count)


def check_tuning(
    finetune: int | None, data: str | None, calibrate: str | None, others: dict[str, Any]
) -> None:
    """Refuses options that belong together and are apart."""
    if (finetune is None) != (data is None):
        given, missing = ("--data", "--finetune") if finetune is None else ("--finetune", "--data")
        raise ConfigError(f"expected {missing} with {given}, got none; give both, or neither")
    if finetune is not None and calibrate is not None:
        raise ConfigError(
            "expected no --calibrate with --finetune, got both; scales are searched on what --data "
            "holds out"
        )
    given = next((name for name, value in others.items() if value is not None), None)
    if finetune is None and given is not None:
        raise ConfigError(f"expected --finetune with --{given}, got none; give it, or leave it out")


def tuning_recipe(
    epochs: int, preset_name: str | None, settings: list[str], *, epsilon: float, seed: int
) -> "TrainConfig":
    """How to fine-tune: as a preset trains, or by SR*, with the settings that were given.

    Raises:
        ConfigError: If a setting is none of training.
    """
    from dataclasses import fields

    from ..deploy.finetune import recipe
    from ..train.config import Recipe, TrainConfig, change, parse_settings
    from ..train.presets import preset

    base = None if preset_name is None else preset(preset_name).train
    values = parse_settings(settings)
    known = {field.name for field in fields(TrainConfig)}
    if foreign := sorted(values.keys() - known):
        raise ConfigError(
            f"expected options of training, got {foreign[0]!r}; the network is that of the file"
        )
    return change(Recipe(train=recipe(epochs, epsilon=epsilon, seed=seed, base=base)), values).train


def tuning_on(
    spec: str,
    config: "TrainConfig",
    out: Path,
    *,
    limit: int | None,
    device: str,
    resume: bool,
    frames: "FrameConfig | None",
    repair: bool = False,
) -> "tuple[Tuning, Calibration]":
    """What fine-tuning learns from, and the samples it holds out, which scales are searched on."""
    from ..datasets.images import load
    from ..deploy.calibration import calibration
    from ..deploy.finetune import Tuning
    from ..train.training import parts

    data = load(spec, limit=limit, frames=frames, mend=repair, tracker=RichTracker())
    _, held = parts(data, config)
    if held is None:
        raise ConfigError("expected a holdout above 0, got 0; scales and epochs are chosen on it")
    folder, where = out.with_name(f"{out.name}-finetune"), f"{spec}, held out of fine-tuning"
    return (
        Tuning(data=data, folder=folder, device=device, resume=resume),
        calibration(held, data, where=where, kind=parse_spec(spec).kind, seed=config.seed),
    )
