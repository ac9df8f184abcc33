"""Hardware-aware fine-tuning: the training loop on the chip itself, which stays certified."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..core.errors import ConfigError, DataError
from ..core.progress import SILENT, Tracker
from ..datasets.images import ImageData, fingerprint
from ..sim.program import Program
from ..train.checkpoint import checkpoint_file, read_tensors
from ..train.config import TrainConfig
from ..train.loop import run
from ..train.methods import method
from ..train.presets import attack_options
from ..train.training import parts, to_unit
from ..train.validation import accuracy, robust_accuracy
from .chip_network import ChipNetwork
from .float_network import FloatNetwork
from .quantize import Precision

RATE = 0.01
"""Learning rate at the start: a tenth of a training's, for weights that are nearly right."""
PENALTY_STEP = 3 / 255
"""h of SR: what is below half a level would not survive the chip's input lattice."""
PENALTY_WEIGHT = 0.002
TIMES = ("seconds",)
"""Of an epoch's metrics, what another run would not repeat."""


def recipe(
    epochs: int, *, epsilon: float, seed: int, base: TrainConfig | None = None
) -> TrainConfig:
    """How to fine-tune: SR* at `epsilon`, or as `base` was trained, with h on the lattice.

    Args:
        epochs: Passes over the training images.
        epsilon: Radius that validation attacks with; also that of training, without `base`.
        seed: Of split, order, augmentation and attack starts.
        base: A training whose method, attack and λ are taken over.
    """
    usual = TrainConfig(
        method="srstar", penalty_weight=PENALTY_WEIGHT, augment=False, **attack_options(epsilon)
    )
    config = base or usual
    options: dict[str, Any] = (
        {"penalty_step": PENALTY_STEP} if method(config.method).penalty else {}
    )
    return replace(
        config,
        epochs=epochs,
        seed=seed,
        learning_rate=RATE,
        validation_epsilon=epsilon,
        **options,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Tuning:
    """What fine-tuning learns from, and where it keeps its epochs.

    Args:
        data: Only its training part is used, a share of it for validation.
        folder: Of the training: best and last masters, metrics, and what a resumption needs.
        device: Where to train.
        resume: Go on where the training in `folder` was interrupted.
    """

    data: ImageData
    folder: Path
    device: str = "cpu"
    resume: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Finetuned:
    """The integers after fine-tuning, S of every layer, and what was done, as plain data."""

    program: Program
    scales: dict[str, float]
    record: dict[str, Any]


def finetune(
    network: FloatNetwork,
    tuning: Tuning,
    *,
    config: TrainConfig,
    precision: Precision,
    scales: dict[str, float],
    tracker: Tracker = SILENT,
) -> Finetuned:
    """Trains the chip's weights and biases; thresholds, decays and S stay.

    The best epoch is chosen by the loop's rule on the held-out split; where even that stands behind
    the chip before fine-tuning, that chip is kept and the record says so.

    Raises:
        ConfigError: If nothing is held out, options and data do not fit, or the training diverges.
        DataError: If the images are not the network's.
    """
    if config.holdout == 0 or config.select_by != "robust":
        raise ConfigError(
            f"expected a holdout above 0 and select_by robust to choose an epoch with, got "
            f"{config.holdout} and {config.select_by!r}; set both"
        )
    if tuning.data.train_images.shape[1:] != network.sample_shape:
        raise DataError(
            f"expected training images of shape {network.sample_shape}, got "
            f"{tuning.data.train_images.shape[1:]}; pass the data that the network was trained on"
        )
    chip = ChipNetwork(network, precision=precision, scales=scales).to(tuning.device)
    start = {name: tensor.clone() for name, tensor in chip.state_dict().items()}
    before = _validated(chip, tuning, config)
    result = run(
        config,
        chip,
        tuning.data,
        tuning.folder,
        device=tuning.device,
        resume=tuning.resume,
        tracker=tracker,
    )
    assert result.best is not None
    is_better = result.best["validation_robust_accuracy"] >= before["robust"]
    best = read_tensors(checkpoint_file(tuning.folder))[0]
    chip.load_state_dict(best if is_better else start)
    program, found = chip.cpu().integers()
    record = {
        "config": config.to_dict(),
        "data": {"name": tuning.data.name, "sha256": fingerprint(tuning.data)},
        "split": _split(tuning, config),
        "learnt": "weights and biases; thresholds, decays and scales stay",
        "before": before,
        "epochs": [_timeless(entry) for entry in result.metrics],
        "kept": _timeless(result.best) if is_better else "the chip before fine-tuning",
        "scales": found,
    }
    return Finetuned(program=program, scales=found, record=record)


def _validated(chip: ChipNetwork, tuning: Tuning, config: TrainConfig) -> dict[str, float]:
    """Robust and clean accuracy on the held-out split, as after an epoch."""
    _, held = parts(tuning.data, config)
    assert held is not None
    images = to_unit(torch.from_numpy(held.images)).to(tuning.device)
    labels = torch.from_numpy(held.labels).to(tuning.device)
    robust = robust_accuracy(
        chip,
        images,
        labels,
        epsilon=config.validation_epsilon,
        steps=config.validation_steps,
        seed=config.seed,
    )
    return {"robust": robust, "clean": accuracy(chip, images, labels)}


def _split(tuning: Tuning, config: TrainConfig) -> dict[str, Any]:
    learn, held = parts(tuning.data, config)
    assert held is not None
    return {"of": "the training part", "seed": config.seed} | {
        "learnt from": len(learn),
        "held out": len(held),
    }


def _timeless(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in TIMES}


def summary(record: dict[str, Any]) -> dict[str, Any]:
    """What a chip report says of it."""
    kept = record["kept"]
    return {
        "epochs": record["config"]["epochs"],
        "method": record["config"]["method"],
        "robust_before": record["before"]["robust"],
        "robust_after": kept["validation_robust_accuracy"]
        if isinstance(kept, dict)
        else record["before"]["robust"],
        "learnt": record["learnt"],
    }
