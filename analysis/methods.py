"""How robust each training method makes a network on the same budget (Liu et al. 2024, Table 3)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from statsmodels.stats.proportion import proportion_confint
from torch import Tensor

from ..attacks.lattice import ThreatModel
from ..attacks.loss import is_fooled
from ..attacks.suite import attack_named
from ..core.errors import ConfigError
from ..core.files import read_json, sha256, write_json
from ..core.progress import SILENT, Task, Tracker
from ..datasets.images import ImageData, fingerprint
from ..train.checkpoint import checkpoint_file, load
from ..train.config import Recipe
from ..train.loop import run
from ..train.run_folder import CONFIG
from ..train.target import NetworkTarget
from .measure import Samples, first_test_samples

CLEAN = "clean"
GRADIENT_ATTACKS = ("fgsm", "pgd10")
COLUMNS: tuple[str, ...] = (CLEAN, "noise", *GRADIENT_ATTACKS)
"""What a network is measured under. An attack counts every point that it visits."""

MEASURED = "measured.json"


@dataclass(frozen=True, kw_only=True)
class MethodsConfig:
    """A comparison of methods.

    Args:
        seeds: Each method is trained once with each of them.
        samples: Test images that a network is measured on, the first of the official order.
        epsilon: Of FGSM and PGD10, on the 8-bit lattice, in input units.
        noise: Largest change of a pixel by uniform noise, in input units.

    Raises:
        ConfigError: If there is no seed, one occurs twice, or a radius is out of range.
    """

    seeds: tuple[int, ...] = (0, 1)
    samples: int = 1000
    epsilon: float = 8 / 255
    noise: float = 0.1

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ConfigError(
                f"expected different seeds of 0 or more, got {self.seeds}; give them as 0,1"
            )
        _ = self.threats  # checks the radii now, not after hours of training

    @property
    def threats(self) -> dict[str, ThreatModel]:
        """The threat model of every column but the clean one."""
        radii = {"noise": self.noise} | dict.fromkeys(GRADIENT_ATTACKS, self.epsilon)
        return {name: ThreatModel(epsilon=radius) for name, radius in radii.items()}


def compare_methods(
    config: MethodsConfig,
    recipes: Mapping[str, Recipe],
    data: ImageData,
    out: Path,
    *,
    device: str = "cpu",
    tracker: Tracker = SILENT,
) -> list[dict[str, Any]]:
    """Trains every recipe with every seed, in `out/<name>-seed<seed>`, and measures each network.

    A training that is there already is resumed, and what was measured on its weights is kept.

    Args:
        config: What is measured.
        recipes: By name; their seeds are replaced.
        data: Trains on its training images, measures on its test images.
        out: Folder of the trainings.
        device: Where.
        tracker: Where progress is reported.

    Returns:
        A row a network: name, method, seed, how many samples, and how many of them were right in
        each of `COLUMNS`.

    Raises:
        ConfigError: If there is no recipe, or a training in `out` had other options.
    """
    if not recipes:
        raise ConfigError("expected at least one preset, got none; name digits-vanilla digits-sr")
    samples = first_test_samples(data, config.samples, device=device)
    rows = []
    with tracker.task("networks", len(recipes) * len(config.seeds)) as task:
        for name, recipe in recipes.items():
            for seed in config.seeds:
                folder = out / f"{name}-seed{seed}"
                train = replace(recipe.train, seed=seed)
                network, resume = recipe.network.network(data), (folder / CONFIG).exists()
                run(train, network, data, folder, device=device, resume=resume, tracker=tracker)
                found = _kept_or_measured(config, folder, data, samples, seed, tracker)
                rows.append({"name": name, "method": train.method, "seed": seed, **found})
                task.advance(1, folder.name)
    return rows


def _kept_or_measured(
    config: MethodsConfig,
    folder: Path,
    data: ImageData,
    samples: Samples,
    seed: int,
    tracker: Tracker,
) -> dict[str, Any]:
    """`samples` and the counts of right answers; kept in the folder with what decides them."""
    weights = checkpoint_file(folder)
    identity = {
        "weights": sha256(weights),
        "data": fingerprint(data),
        "config": asdict(replace(config, seeds=(seed,))) | {"seeds": [seed]},
        "attacks": [repr(attack_named(name)) for name in COLUMNS if name != CLEAN],
    }
    path = folder / MEASURED
    kept = read_json(path) if path.is_file() else {}
    if kept.get("identity") != identity:
        target = NetworkTarget(load(weights).to(samples.images.device))
        with tracker.task(f"measure {folder.name}", len(samples)) as task:
            counts = _counts(config, target, samples, seed, task)
        kept = {"identity": identity, "counts": counts}
        write_json(path, kept)
    return {"samples": len(samples), **kept["counts"]}


def _counts(
    config: MethodsConfig, target: NetworkTarget, samples: Samples, seed: int, task: Task
) -> dict[str, int]:
    """Samples that are right in each column; one that is wrong clean is wrong in every other."""
    counts: dict[str, int] = dict.fromkeys(COLUMNS, 0)
    for first, images, labels in samples.batches():
        with torch.no_grad():
            clean = ~is_fooled(target(images), labels)
        counts[CLEAN] += int(clean.sum())
        keys: Int64[Tensor, " N"] = torch.arange(first, first + len(labels))
        for name, threat in config.threats.items():
            attempt = attack_named(name)(
                target, images, labels, threat=threat, keys=keys, seed=seed
            )
            counts[name] += int((clean & ~attempt.fooled_any).sum())
        task.advance(len(labels))
    return counts


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a Markdown table: a line a method, the mean of its seeds, then each of them.

    Shares in percent. The last line gives the half width of a 95 % Wilson interval at the share
    where it is widest, for one network.
    """
    names = list(dict.fromkeys(row["name"] for row in rows))
    head = ["trained with", *COLUMNS]
    lines = [head, ["---", *("--:" for _ in COLUMNS)]]
    for name in names:
        own = [row for row in rows if row["name"] == name]
        lines.append(
            [name, *(_cell([row[key] / row["samples"] for row in own]) for key in COLUMNS)]
        )
    written = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{written}\n\nOne network's share is known to ±{_half_width(rows):.1f} points."


def orders(rows: Sequence[Mapping[str, Any]], *, column: str) -> dict[int, list[str]]:
    """For every seed the names from the most to the least accurate in a column."""
    return {
        seed: [
            row["name"]
            for row in sorted(
                (row for row in rows if row["seed"] == seed),
                key=lambda row: -row[column] / row["samples"],
            )
        ]
        for seed in dict.fromkeys(row["seed"] for row in rows)
    }


def _cell(shares: Sequence[float]) -> str:
    each = ", ".join(f"{100 * share:.1f}" for share in shares)
    return each if len(shares) == 1 else f"{100 * sum(shares) / len(shares):.1f} ({each})"


def _half_width(rows: Sequence[Mapping[str, Any]]) -> float:
    samples = min(row["samples"] for row in rows)
    low, high = proportion_confint(samples // 2, samples, method="wilson")
    return 50 * float(high - low)  # pyright: ignore[reportArgumentType]
