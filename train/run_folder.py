"""What a training keeps in its folder, and how it goes on after an interruption."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..core.errors import ConfigError, FormatError
from ..core.files import read_json, write_json, write_text
from .checkpoint import BEST, LAST, read_tensors, save, write_tensors
from .trainable import Trainable

CONFIG, RECORD, METRICS, STATE = "config.json", "record.json", "metrics.jsonl", "resume.safetensors"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a training stands.

    Args:
        epochs: Finished epochs.
        best: The metrics of the best epoch; None without validation.
        metrics: One entry a finished epoch.
    """

    epochs: int = 0
    best: dict[str, Any] | None = None
    metrics: tuple[dict[str, Any], ...] = ()


def start(folder: Path, identity: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """Opens a folder for a new training.

    Args:
        folder: New, or without a training in it.
        identity: Everything that decides the result; goes to `config.json`.
        record: What else is worth knowing; goes to `record.json`.

    Raises:
        ConfigError: If the folder holds a training, or cannot be written to.
    """
    found = [name for name in (CONFIG, LAST, BEST, STATE) if (folder / name).exists()]
    if found:
        raise ConfigError(
            f"expected no training in {folder}, got {', '.join(found)}; "
            "resume it, remove it or choose another folder"
        )
    write_json(folder / RECORD, dict(record))
    write_json(folder / CONFIG, dict(identity))


def discard_unlearnt(folder: Path) -> None:
    """Takes back what `start` wrote where no epoch was kept, so that better options may follow."""
    if not any((folder / name).exists() for name in (LAST, BEST, STATE)):
        for name in (CONFIG, RECORD):
            (folder / name).unlink(missing_ok=True)


def check_same(folder: Path, identity: Mapping[str, Any]) -> None:
    """Refuses to resume what was started with other options, another network or other data.

    Raises:
        ConfigError: If there is nothing to resume, or something differs, naming it.
    """
    if not (folder / CONFIG).is_file():
        raise ConfigError(
            f"expected a training to resume in {folder}, got none; start it without resume"
        )
    kept, asked = _flat(read_json(folder / CONFIG)), _flat(json.loads(json.dumps(identity)))
    changed = sorted(key for key in kept.keys() | asked.keys() if kept.get(key) != asked.get(key))
    if changed:
        key = changed[0]
        raise ConfigError(
            f"expected the options that {folder} was started with, got other values of "
            f"{', '.join(changed)} ({key} was {kept.get(key)}, is {asked.get(key)}); "
            "use the same ones or another folder"
        )


def save_epoch(
    folder: Path, network: Trainable, momentum: Mapping[str, Tensor], progress: Progress
) -> None:
    """Keeps a finished epoch. The state comes last: a kill before it repeats the epoch."""
    save(folder / LAST, network)
    if progress.best is not None and progress.best["epoch"] == progress.epochs:
        save(folder / BEST, network)
    lines = "".join(json.dumps(entry, allow_nan=False) + "\n" for entry in progress.metrics)
    write_text(folder / METRICS, lines)
    tensors = {f"model.{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= {f"momentum.{name}": tensor for name, tensor in momentum.items()}
    header = {"epochs": progress.epochs, "best": progress.best, "metrics": progress.metrics}
    write_tensors(folder / STATE, tensors, header)


def load_epoch(folder: Path, network: Trainable) -> tuple[Progress, dict[str, Tensor]]:
    """Puts the last finished epoch into `network`; nothing happens where none was finished.

    Returns:
        Where the training stood, and SGD's momentum of each parameter.

    Raises:
        FormatError: If the file is damaged.
    """
    if not (folder / STATE).is_file():
        return Progress(), {}
    tensors, header = read_tensors(folder / STATE)
    model, momentum = _under(tensors, "model."), _under(tensors, "momentum.")
    try:
        network.load_state_dict(model)
        progress = Progress(
            epochs=header["epochs"], best=header["best"], metrics=tuple(header["metrics"])
        )
    except (RuntimeError, KeyError, TypeError) as error:
        raise FormatError(
            f"expected the state of this training in {folder / STATE}, got {error}; "
            "start again in another folder"
        ) from error
    return progress, momentum


def momentum_of(network: Trainable, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """SGD's momentum by parameter name; parameters without one are left out."""
    found = {}
    for name, parameter in network.named_parameters():
        buffer = optimizer.state.get(parameter, {}).get("momentum_buffer")
        if buffer is not None:
            found[name] = buffer
    return found


def restore_momentum(
    network: Trainable, optimizer: torch.optim.Optimizer, momentum: Mapping[str, Tensor]
) -> None:
    """Gives the optimizer back what `momentum_of` took."""
    for name, parameter in network.named_parameters():
        if name in momentum:
            # In the layout of the parameter: torch's fused SGD reads all of them as they lie in
            # memory, and steps wrongly without a word where layouts differ.
            like = torch.empty_like(parameter, requires_grad=False)
            optimizer.state[parameter]["momentum_buffer"] = like.copy_(momentum[name])


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= (
            _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
        )
    return flat
