"""Scenes as pictures and as recordings: networks that learn either or both, scene by scene."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int64
from statsmodels.stats.contingency_tables import mcnemar
from torch import Tensor

from ..attacks.lattice import ThreatModel
from ..attacks.loss import is_fooled
from ..attacks.suite import attack_named
from ..core.errors import ConfigError, DataError
from ..core.progress import SILENT, Tracker
from ..datasets.images import ImageData
from ..train.checkpoint import load
from ..train.config import Recipe
from ..train.loop import run
from ..train.run_folder import CONFIG
from ..train.target import NetworkTarget
from .measure import Samples, first_test_samples
from .methods import CLEAN

ATTACK = "pgd10"
BOTH = "both"
"""Name of the network that learns from all views."""
Right = dict[str, Bool[np.ndarray, " scenes"]]
"""By column, which scenes a network gets right."""


@dataclass(frozen=True, kw_only=True)
class PairsConfig:
    """What is measured of every network and view.

    Args:
        samples: Test scenes, the first of the official order; all where there are fewer.
        epsilons: Radii of the attack, in input units: the same change of any cell in both views.

    Raises:
        ConfigError: If there is no radius, or one is no level of the lattice.
    """

    samples: int = 1000
    epsilons: tuple[float, ...] = (1 / 255, 8 / 255)

    def __post_init__(self) -> None:
        if not self.epsilons or len(set(self.epsilons)) < len(self.epsilons):
            raise ConfigError(
                f"expected different radii, got {self.epsilons}; give them as 1/255,8/255"
            )
        _ = self.threats  # checks the radii now, not after minutes of training

    @property
    def threats(self) -> dict[str, ThreatModel]:
        """By column the threat model of an attack."""
        return {
            f"{ATTACK} ±{threat.levels}": threat
            for threat in (ThreatModel(epsilon=epsilon) for epsilon in self.epsilons)
        }

    @property
    def columns(self) -> tuple[str, ...]:
        """What a network is measured under."""
        return (CLEAN, *self.threats)


def compare_pairs(
    config: PairsConfig,
    recipe: Recipe,
    views: Mapping[str, ImageData],
    out: Path,
    *,
    device: str = "cpu",
    tracker: Tracker = SILENT,
) -> dict[str, Any]:
    """Trains a network on each view of the scenes and one on all, and measures each on each view.

    A training that is there already is resumed. The network on all views sees every scene once a
    view and epoch: so many times as many samples.

    Args:
        config: What is measured.
        recipe: The same for all networks.
        views: By name the same scenes, in the same order.
        out: Folder of the trainings, one named after each view, and `both`.
        device: Where.
        tracker: Where progress is reported.

    Returns:
        `rows`, one a network and view with counts of right answers, and `tests`: McNemar's exact
        test of every two views of one network, and of every two networks on one view.

    Raises:
        DataError: If the views are not of the same scenes.
        ConfigError: If a training in `out` had other options.
    """
    _check_same_scenes(views)
    right: dict[tuple[str, str], Right] = {}
    trained = {**views, BOTH: _together(views)}
    with tracker.task("networks", len(trained)) as task:
        for name, data in trained.items():
            folder = out / name
            network, resume = recipe.network.network(data), (folder / CONFIG).exists()
            run(recipe.train, network, data, folder, device=device, resume=resume, tracker=tracker)
            target = NetworkTarget(load(folder).to(device))
            for view, shown in views.items():
                samples = first_test_samples(shown, config.samples, device=device)
                right[name, view] = _right(config, target, samples, recipe.train.seed)
            task.advance(1, name)
    rows = [_row(*key, found) for key, found in right.items()]
    return {"rows": rows, "tests": _tests(right, tuple(trained), tuple(views), config.columns)}


def _together(views: Mapping[str, ImageData]) -> ImageData:
    """All views of a scene in a row."""
    first = next(iter(views.values()))
    arrays = {}
    for part in ("train", "test"):
        images = np.stack([getattr(data, f"{part}_images") for data in views.values()], axis=1)
        arrays[f"{part}_images"] = images.reshape(-1, *images.shape[2:])
        arrays[f"{part}_labels"] = np.repeat(getattr(first, f"{part}_labels"), len(views))
    name = " and ".join(data.name for data in views.values())
    return replace(first, name=name, per_scene=len(views), **arrays)


def _right(config: PairsConfig, target: NetworkTarget, samples: Samples, seed: int) -> Right:
    """Scenes that are right clean, and right at every point that the attack visited."""
    found: dict[str, list[np.ndarray]] = {column: [] for column in config.columns}
    for first, images, labels in samples.batches():
        with torch.no_grad():
            clean = ~is_fooled(target(images), labels)
        found[CLEAN].append(clean.cpu().numpy())
        keys: Int64[Tensor, " N"] = torch.arange(first, first + len(labels))
        for column, threat in config.threats.items():
            attempt = attack_named(ATTACK)(
                target, images, labels, threat=threat, keys=keys, seed=seed
            )
            found[column].append((clean & ~attempt.fooled_any).cpu().numpy())
    return {column: np.concatenate(parts) for column, parts in found.items()}


def _row(name: str, view: str, right: Right) -> dict[str, Any]:
    counts = {column: int(found.sum()) for column, found in right.items()}
    return {"trained on": name, "shown": view, "samples": len(right[CLEAN]), **counts}


def _tests(
    right: Mapping[tuple[str, str], Right],
    networks: tuple[str, ...],
    views: tuple[str, ...],
    columns: tuple[str, ...],
) -> list[dict[str, Any]]:
    of_views = [
        ((name, one), (name, other)) for name in networks for one, other in combinations(views, 2)
    ]
    of_networks = [
        ((one, view), (other, view)) for view in views for one, other in combinations(networks, 2)
    ]
    return [
        {"first": list(a), "second": list(b), "column": column}
        | _mcnemar(right[a][column], right[b][column])
        for a, b in (*of_views, *of_networks)
        for column in columns
    ]


def _mcnemar(
    first: Bool[np.ndarray, " scenes"], second: Bool[np.ndarray, " scenes"]
) -> dict[str, Any]:
    """McNemar's exact test: do scenes that only one gets right fall evenly on both?"""
    table = [
        [int((first & second).sum()), int((first & ~second).sum())],
        [int((~first & second).sum()), int((~first & ~second).sum())],
    ]
    p = float(mcnemar(table, exact=True).pvalue)  # type: ignore[attr-defined]
    return {"both": table[0][0], "only_first": table[0][1], "only_second": table[1][0], "p": p}


def _check_same_scenes(views: Mapping[str, ImageData]) -> None:
    first, *others = views.values()
    for other in others:
        is_same = all(
            np.array_equal(getattr(first, key), getattr(other, key))
            for key in ("train_labels", "test_labels")
        )
        if not is_same or first.train_images.shape != other.train_images.shape:
            raise DataError(
                f"expected the same scenes in {first.name} and {other.name}, got other labels or "
                "shapes; give views of one folder"
            )


def table(found: Mapping[str, Any], columns: tuple[str, ...]) -> str:
    """Rows and tests as Markdown: shares in percent, and p of the views of each network."""
    lines = [["trained on", "shown", *columns], ["---", "---", *("--:" for _ in columns)]]
    for row in found["rows"]:
        shares = [f"{100 * row[column] / row['samples']:.1f}" for column in columns]
        lines.append([row["trained on"], row["shown"], *shares])
    tests = [["between", "and", "under", "only first", "only second", "p"], ["---"] * 6]
    for test in found["tests"]:
        ends = [", shown ".join(test[end]) for end in ("first", "second")]
        counts = [str(test["only_first"]), str(test["only_second"]), f"{test['p']:.3g}"]
        tests.append([*ends, test["column"], *counts])
    written = ("\n".join(f"| {' | '.join(line)} |" for line in part) for part in (lines, tests))
    return "\n\n".join(written)
