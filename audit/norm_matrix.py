"""Robustness across norms: each network, trained under one or none, attacked under all of them.

The norms' radii have no common unit. Without radii of one's own they are calibrated on a reference
network: a norm's epsilon is the smallest of its candidates at which that network keeps no more than
half of what it gets right. So every column is as hard for the reference, and rows are read along.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool

from ..attacks.attack import Attack
from ..attacks.lattice import LEVELS, LINF, PIXELS, Cells, ThreatModel
from ..attacks.norms import NORMS
from ..attacks.suite import PUBLISHED_ESTIMATORS, attack_named, crossed, usable
from ..attacks.target import Target
from ..core.choice import chosen
from ..core.errors import ConfigError
from ..core.progress import SILENT, Tracker
from .cascade import Cascade
from .samples import Samples
from .statistics import share

CLEAN = "clean"
SEARCHES = ("pgd10-scaled", "apgd50", "sparse-rs2000")
"""Tried in the balls of every norm that they search, until nothing is left of a sample."""
CALIBRATION = "pgd10-scaled"
"""Attacks the reference; it searches the balls of all norms."""
KEPT = 0.5
"""Share of its clean accuracy that the reference is left with, at most."""
FINENESS = 64
"""Candidates of a norm whose radii are no whole numbers, from one level up to the whole range."""

Right = Bool[np.ndarray, " N"]
"""Which samples a network gets right."""


@dataclass(frozen=True, kw_only=True)
class NormMatrixConfig:
    """What networks are attacked with.

    Args:
        norms: Names of `attacks.norms.NORMS`.
        epsilons: Radii by norm, in the norm's unit; those that are missing are calibrated.
        attacks: Names of attacks; of each norm those that search its balls.
        estimators: Spike derivatives, where a network has them.
        batch_size: Of the padded batches.
        seed: Of every random draw.
        confidence: Of every interval.
        cells: What images are where they are frames of events.

    Raises:
        ConfigError: If a norm is unknown or none of the attacks searches it, or a radius is out of
            range.
    """

    norms: tuple[str, ...] = tuple(NORMS)
    epsilons: Mapping[str, float] = field(default_factory=dict)
    attacks: tuple[str, ...] = SEARCHES
    estimators: tuple[str, ...] = PUBLISHED_ESTIMATORS
    batch_size: int = 32
    seed: int = 0
    confidence: float = 0.95
    cells: Cells | None = None

    def __post_init__(self) -> None:
        for norm in (*self.norms, *self.epsilons):
            chosen(NORMS, norm, what="a norm")
        if not self.norms or len(set(self.norms)) < len(self.norms):
            raise ConfigError(f"expected different norms, got {self.norms}; name each once")
        unused = sorted(set(self.epsilons) - set(self.norms))
        if unused:
            raise ConfigError(
                f"expected epsilons of {', '.join(self.norms)}, got those of {', '.join(unused)} "
                "too; leave them out"
            )
        for norm in self.norms:
            if not any(attack_named(name).searches(norm) for name in self.attacks):
                raise ConfigError(
                    f"expected an attack that searches {norm} balls, got "
                    f"{', '.join(self.attacks)}; add one"
                )
        for norm, epsilon in self.epsilons.items():
            self.threat(norm, epsilon)

    def threat(self, norm: str, epsilon: float) -> ThreatModel:
        """A ball on the lattice.

        Raises:
            ConfigError: If epsilon is out of range.
        """
        return ThreatModel(epsilon=epsilon, norm=norm, cells=self.cells)


@dataclass(frozen=True, kw_only=True, eq=False)
class NormMatrix:
    """All networks under all norms.

    Args:
        config: What was asked.
        targets: By name; the first is the reference.
        samples: What they are shown.
        device: Where they run.
        tracker: Where progress is reported.
    """

    config: NormMatrixConfig
    targets: Mapping[str, Target]
    samples: Samples
    device: torch.device
    tracker: Tracker = SILENT

    def measure(self) -> dict[str, Any]:
        """Radii, and by network and column which samples stand."""
        clean = {name: self._clean(target) for name, target in self.targets.items()}
        reference = next(iter(self.targets))
        epsilons = {
            norm: self.config.epsilons[norm]
            if norm in self.config.epsilons
            else self._calibrated(norm, clean[reference])
            for norm in self.config.norms
        }
        right: dict[str, dict[str, Right]] = {n: {CLEAN: c} for n, c in clean.items()}
        with self.tracker.task("cells", len(right) * len(epsilons)) as task:
            for name, (norm, epsilon) in product(right, epsilons.items()):
                attacks = self._attacks(self.config.attacks, self.targets[name], norm)
                cascade = self._cascade(self.targets[name], norm, epsilon)
                right[name][norm] = cascade.survivors(attacks, clean[name])
                task.advance(1, f"{name} under {norm}")
        return {
            "config": asdict(self.config),
            "reference": reference,
            "epsilons": epsilons,
            "n": len(self.samples),
            "right": {
                name: {key: found.tolist() for key, found in columns.items()}
                for name, columns in right.items()
            },
            "shares": {
                name: {
                    key: asdict(share(found, confidence=self.config.confidence))
                    for key, found in columns.items()
                }
                for name, columns in right.items()
            },
        }

    def _clean(self, target: Target) -> Right:
        return self.samples.right(target, size=self.config.batch_size, device=self.device)

    def _cascade(self, target: Target, norm: str, epsilon: float) -> Cascade:
        return Cascade(
            target=target,
            samples=self.samples,
            threat=self.config.threat(norm, epsilon),
            batch_size=self.config.batch_size,
            seed=self.config.seed,
            device=self.device,
        )

    def _attacks(self, names: Sequence[str], target: Target, norm: str) -> tuple[Attack, ...]:
        searching = [name for name in names if attack_named(name).searches(norm)]
        return crossed(searching, usable(self.config.estimators, target.estimators))

    def _calibrated(self, norm: str, clean: Right) -> float:
        """The smallest candidate that costs the reference half of what it gets right.

        Raises:
            ConfigError: If even the largest does not.
        """
        name, target = next(iter(self.targets.items()))
        attacks = self._attacks([CALIBRATION], target, norm)

        def is_halved(epsilon: float) -> bool:
            left = self._cascade(target, norm, epsilon).survivors(attacks, clean)
            return bool(left.sum() <= KEPT * clean.sum())

        tried = candidates(norm, self.samples.images.shape[1:])
        place = bisect_left(tried, True, key=is_halved)
        if place == len(tried):
            raise ConfigError(
                f"expected {name} to lose half of its accuracy in some {norm} ball, got none up to "
                f"{tried[-1]:g}; give epsilons, or another network first"
            )
        return tried[place]


def candidates(norm: str, shape: tuple[int, ...]) -> list[float]:
    """Radii in rising order, from one level of one entry, or one pixel, to the whole range."""
    entries, pixels = math.prod(shape), math.prod(shape[1:])
    if norm == LINF:
        return [level / LEVELS for level in range(1, LEVELS + 1)]
    if norm == PIXELS:
        return [float(count) for count in range(1, pixels + 1)]
    return np.geomspace(1 / LEVELS, NORMS[norm].most(1.0, entries), FINENESS).tolist()
