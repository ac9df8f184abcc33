"""What the weight λ of the regulariser does: one training each (Liu et al. 2024, Figs. 3, 6)."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..attacks.lattice import ThreatModel
from ..core.errors import ConfigError
from ..core.progress import SILENT, Tracker
from ..datasets.images import ImageData
from ..train.checkpoint import load
from ..train.config import Recipe
from ..train.loop import run
from ..train.methods import method
from ..train.target import NetworkTarget
from ..train.validation import accuracy, robust_accuracy
from .gradients import norms
from .measure import first_test_samples, measure_gradients


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """A sweep over λ.

    Args:
        weights: λ, each trained once with the recipe's seed.
        samples: Test images that each network is measured on.
        epsilon: Of the PGD that measures it, on the 8-bit lattice.
        steps: Of that PGD, ten in the paper.

    Raises:
        ConfigError: If there are no weights, one occurs twice or is negative, or epsilon is out of
            range.
    """

    weights: tuple[float, ...]
    samples: int = 500
    epsilon: float = 8 / 255
    steps: int = 10

    def __post_init__(self) -> None:
        # By the names of their folders.
        distinct = len(set(map(_name, self.weights))) == len(self.weights)
        lawful = all(0 <= weight < math.inf for weight in self.weights)
        if not self.weights or not distinct or not lawful:
            raise ConfigError(
                f"expected different weights >= 0, got {self.weights}; give them as 0,0.002,0.008"
            )
        ThreatModel(epsilon=self.epsilon)  # checks it now, not after hours of training


def sweep(
    config: SweepConfig,
    recipe: Recipe,
    data: ImageData,
    out: Path,
    *,
    device: str = "cpu",
    tracker: Tracker = SILENT,
) -> list[dict[str, Any]]:
    """Trains a network for each λ, in `out/lambda-<λ>`, and measures it on test images.

    A training that is there already is resumed.

    Returns:
        A row a network: λ, accuracies (shares), and mean norms of ∇ₓ f_y.

    Raises:
        ConfigError: If the recipe's method has no λ.
    """
    if method(recipe.train.method).penalty is None:
        raise ConfigError(
            f"expected a method with a weight λ, got {recipe.train.method!r}; choose sr, srstar "
            "or gr"
        )
    rows = []
    with tracker.task("sweep", len(config.weights)) as task:
        for weight in config.weights:
            train = replace(recipe.train, penalty_weight=weight)
            folder = out / f"lambda-{_name(weight)}"
            resume = (folder / "config.json").exists()
            network = recipe.network.network(data)
            run(train, network, data, folder, device=device, resume=resume, tracker=tracker)
            rows.append(_measured(config, folder, data, weight, train.seed, device))
            task.advance(1, f"λ = {_name(weight)}")
    return rows


def _name(weight: float) -> str:
    return f"{weight:g}"


def _measured(
    config: SweepConfig, folder: Path, data: ImageData, weight: float, seed: int, device: str
) -> dict[str, Any]:
    network = load(folder).to(device)
    samples = first_test_samples(data, config.samples, device=device)
    found = norms(measure_gradients(NetworkTarget(network), samples))
    return {
        "penalty_weight": weight,
        "accuracy": accuracy(network, samples.images, samples.labels),
        "robust_accuracy": robust_accuracy(
            network,
            samples.images,
            samples.labels,
            epsilon=config.epsilon,
            steps=config.steps,
            seed=seed,
        ),
        **{key: getattr(found, key).double().mean().item() for key in ("l1", "l2", "l0")},
    }
