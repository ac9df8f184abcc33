"""Training: one loop for every method."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..core.errors import ConfigError
from ..core.progress import SILENT, Tracker
from ..datasets.images import ImageData, fingerprint
from . import run_folder
from .board import FOLDER, NoBoard, TensorBoard, check_board
from .checkpoint import digest
from .config import NetworkOptions, TrainConfig
from .network import NetworkConfig
from .processes import Processes, start, stop
from .run_folder import Progress
from .trainable import Described, Trainable
from .training import Training, fresh


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """A finished training.

    Args:
        folder: Its checkpoint folder.
        epochs: Epochs trained.
        best: Metrics of the epoch in `best.safetensors`; None without validation.
        metrics: Metrics of every epoch, as in `metrics.jsonl`.
    """

    folder: Path
    epochs: int
    best: dict[str, Any] | None
    metrics: tuple[dict[str, Any], ...]


def run(
    config: TrainConfig,
    network: NetworkConfig | Trainable | None,
    data: ImageData,
    out: Path,
    *,
    device: str = "cpu",
    devices: int | None = None,
    nodes: int | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    tracker: Tracker = SILENT,
) -> TrainResult:
    """Trains a network and keeps it in a folder after every epoch.

    On a CPU the same arguments give the same weights to the last bit, resumed or not; the test
    images are never looked at. A training that fails in its first epoch leaves no file; one that is
    interrupted there can be resumed.

    Args:
        config: How to train.
        network: What to train, with fresh weights; or a network that goes on from its own. None
            takes the usual network for the size of the images.
        data: Its training part is divided into training and validation images.
        out: Folder for `best` and `last` `.safetensors`, `config.json`, `metrics.jsonl` and
            `record.json`; must not hold a training, unless it is resumed.
        device: `cpu`, `cuda` or `cuda:N`.
        devices: Processes on each machine, as `Processes` takes them. Each sees `batch_size` images
            a step; the first one writes the files, and reports progress.
        nodes: Machines.
        resume: Go on where the training in `out` was interrupted.
        tensorboard: Also keep the metrics in `out/tensorboard`.
        tracker: Where progress is reported.

    Raises:
        ConfigError: If options and data do not fit, `out` cannot be used, or the training
            diverges (naming epoch, step and layer).
        MissingAbilityError: If the device, or what `tensorboard` needs, is absent.
        FormatError: If the state to resume is damaged.
    """
    out = Path(out)
    network = network or NetworkOptions().network(data)
    made = network if isinstance(network, Trainable) else fresh(network, config)
    _check_fit(made.config, data)
    if tensorboard:
        check_board()
    fabric, team = start(Processes(device=device, devices=devices, nodes=nodes), config.precision)
    training = Training(config, made, data, fabric=fabric, team=team)
    identity = {
        "train": config.to_dict(),
        "network": made.config.to_dict(),
        "data": fingerprint(data),
        **({"simulated": True} if data.is_simulated else {}),
        **({"start": digest(network)} if isinstance(network, Trainable) else {}),
    }
    if resume:
        team.first(lambda: run_folder.check_same(out, identity))
    else:
        record = training.record(data, device)
        team.first(lambda: run_folder.start(out, identity, record))
    progress = training.restore(out) if resume else Progress()
    is_shown = tensorboard and team.is_first
    board = TensorBoard(out / FOLDER, metrics=progress.metrics) if is_shown else NoBoard()
    try:
        # cuDNN may otherwise pick another algorithm at each run.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            progress = training.finish(
                progress, out, tracker=tracker if team.is_first else SILENT, board=board
            )
    except Exception:
        if team.is_first:
            run_folder.discard_unlearnt(out)
        raise
    board.close()
    stop(team)
    return TrainResult(
        folder=out, epochs=progress.epochs, best=progress.best, metrics=progress.metrics
    )


def _check_fit(network: Described, data: ImageData) -> None:
    sample = data.train_images.shape[1:]
    if network.sample_shape != sample or network.classes != len(data.classes):
        raise ConfigError(
            f"expected a network for samples {sample} in {len(data.classes)} classes, got one for "
            f"{network.sample_shape} in {network.classes}; use the data it was made for"
        )
