"""The scale search: S of each layer is chosen for robust accuracy on held-out training samples."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ..attacks.lattice import ThreatModel
from ..attacks.pgd import PGD
from ..core.decision import predictions
from ..core.errors import ConfigError
from ..core.progress import SILENT, Tracker
from ..sim.classifier import TwinClassifier
from ..sim.gradients.estimators import TRAINING
from .float_network import FloatNetwork
from .quantize import Precision, quantize

CANDIDATES = (1.0, 1.25, 1.5, 0.8, 0.6)
"""Multiples of the scale that just fits; the first wins ties."""

BATCH = 32
"""Samples attacked at once; more of them take longer each, because they leave the caches."""

Score = tuple[float, float]
"""Robust and clean accuracy."""


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """How scales are compared: PGD on the chip itself, crafted and judged on the lattice.

    Args:
        epsilon: Of the attack, in input units.
        attack_steps: Of PGD.
        samples: How many held-out training samples are attacked; with 0 nothing is searched.
        seed: Of the attack's random starts.
    """

    epsilon: float = 8 / 255
    attack_steps: int = 5
    samples: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.epsilon <= 1 or self.attack_steps < 1 or self.samples < 0:
            raise ConfigError(
                f"expected epsilon in (0, 1], at least 1 attack step and 0 samples, got "
                f"{self.epsilon}, {self.attack_steps} and {self.samples}; mend the options"
            )


@dataclass(frozen=True, kw_only=True)
class Search:
    """What the search chose, and what it saw.

    Args:
        factors: By layer, the chosen multiple.
        robust_accuracy: On the samples, with all the chosen multiples.
        tried: Every comparison: layer, multiple, robust and clean accuracy.
    """

    factors: dict[str, float]
    robust_accuracy: float
    tried: tuple[dict[str, object], ...]


def search_scales(
    network: FloatNetwork,
    images: Float[Tensor, "N channels H W"],
    labels: Int64[Tensor, " N"],
    *,
    precision: Precision,
    config: SearchConfig,
    tracker: Tracker = SILENT,
) -> Search:
    """Chooses one layer's scale after the other, the others held.

    Args:
        network: What is quantised.
        images: Held-out training samples in [0, 1], or stacks of frames.
        labels: Their classes.
        precision: Of the weights.
        config: How scales are compared.
        tracker: Shown progress.
    """
    images, labels = images[: config.samples], labels[: config.samples]
    factors: dict[str, float] = {}
    tried: list[dict[str, object]] = []
    seen: dict[frozenset[tuple[str, float]], Score] = {}
    best = (-1.0, -1.0)
    with tracker.task("search scales", len(network.layers) * len(CANDIDATES)) as task:
        for layer in network.layers:
            best, chosen = (-1.0, -1.0), CANDIDATES[0]
            for factor in CANDIDATES:
                asked = {**factors, layer.name: factor}
                # What a layer has settled on is what the next one begins with.
                key = frozenset(pair for pair in asked.items() if pair[1] != 1.0)
                if key not in seen:
                    seen[key] = _score(network, asked, images, labels, precision, config)
                score = seen[key]
                tried.append(
                    {"layer": layer.name, "factor": factor, "robust": score[0], "clean": score[1]}
                )
                if score > best:
                    best, chosen = score, factor
                task.advance(note=layer.name)
            factors[layer.name] = chosen
    return Search(factors=factors, robust_accuracy=best[0], tried=tuple(tried))


def _score(
    network: FloatNetwork,
    factors: Mapping[str, float],
    images: Tensor,
    labels: Tensor,
    precision: Precision,
    config: SearchConfig,
) -> Score:
    """Robust and clean accuracy of the chip at these scales."""
    program, _ = quantize(network, precision=precision, factors=factors)
    chip = TwinClassifier(program)
    attack = PGD(name="pgd", steps=config.attack_steps, estimator=TRAINING)
    threat = ThreatModel(epsilon=config.epsilon, cells=network.cells)
    found = []
    for keys in torch.arange(len(images)).split(BATCH):
        given = images[keys], labels[keys]
        attempt = attack(chip, *given, threat=threat, keys=keys, seed=config.seed)
        with torch.no_grad():
            correct = predictions(chip(given[0])) == given[1]
        found.append(torch.stack([correct & ~attempt.fooled_any, correct]))
    robust, clean = torch.cat(found, dim=1).double().mean(dim=1).tolist()
    return robust, clean
