"""What an epoch of each method costs (Liu et al. 2024, Table 7)."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from ..core.errors import ConfigError
from ..core.progress import SILENT, Tracker
from ..datasets.images import ImageData
from ..train.config import Recipe, TrainConfig
from ..train.loop import run
from ..train.network_config import NetworkConfig
from ..train.trainable import Trainable

EPOCHS = 4
"""The first one warms up; the median of the others is told."""


def cost(
    recipes: Mapping[str, Recipe],
    data: ImageData,
    *,
    device: str = "cpu",
    epochs: int = EPOCHS,
    network: Callable[[], Trainable] | None = None,
    tracker: Tracker = SILENT,
) -> list[dict[str, Any]]:
    """Seconds that one epoch over all training images takes, without validation.

    Args:
        recipes: By name of the method; the first one is what the others are compared with.
        data: All its training images are learnt from.
        device: Where.
        epochs: How many are timed, two at least: the first one warms up.
        network: Makes what is trained, such as a chip's integers; None for each recipe's network.
        tracker: Where progress is reported.

    Returns:
        A row a method: `seconds_per_epoch`, and how often the first one's that is.

    Raises:
        ConfigError: If there is no recipe, or fewer than two epochs.
    """
    if epochs < 2:
        raise ConfigError(f"expected at least 2 epochs, got {epochs}; the first one warms up")
    if not recipes:
        raise ConfigError("expected at least one method, got none; name vanilla,srstar")
    rows: list[dict[str, Any]] = []
    for name, recipe in recipes.items():
        made = recipe.network.network(data) if network is None else network()
        train = replace(recipe.train, epochs=epochs, holdout=0.0)
        seconds = _seconds(train, made, data, device, tracker)
        first = rows[0]["seconds_per_epoch"] if rows else seconds
        rows.append(
            {"method": name, "seconds_per_epoch": seconds, "relative": seconds / max(first, 1e-9)}
        )
    return rows


def _seconds(
    train: TrainConfig,
    network: NetworkConfig | Trainable,
    data: ImageData,
    device: str,
    tracker: Tracker,
) -> float:
    with tempfile.TemporaryDirectory() as folder:
        result = run(train, network, data, Path(folder) / "run", device=device, tracker=tracker)
    return median(entry["seconds"] for entry in result.metrics[1:])
