"""A whole audit: which shards there are, what identifies it, and the rows of all of them."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Int64, UInt8

from ..attacks.lattice import LEVELS
from ..attacks.target import Target
from ..core.errors import ConfigError
from ..core.progress import Tracker
from ..core.record import versions
from ..sim.classifier import TwinClassifier
from ..sim.faults import check_width
from .cells import controls, estimators, members, second_looks
from .chip.asked import CLIMB, Asked
from .chip.questions import chip_only
from .config import AuditConfig
from .engines import ENGINES
from .evidence import Curve
from .journal import Journal
from .ledger import CURVE, SIDES, Ledger, in_order
from .ranking import RULE, ranking
from .rates import RateMeter, mean_rates
from .samples import Samples
from .schema import FORMAT
from .work import Work

DECISIVE = ("spikeproof", "commit", "torch", "numpy")
"""What results may not be mixed across."""

INDIFFERENT = ("shards", "engine")
"""Options that results do not depend on."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """What to do, to which models, with which samples, where.

    Args:
        config: What to do.
        targets: Both models.
        samples: What to attack.
        device: Where the targets run.
        sources: By name, networks trained apart from both, that attacks are carried over from.
        stages: By name, what lies between the float network and the chip, in order.
        trial: Images that are not audited, to rank estimators on.

    Raises:
        ConfigError: If there are more shards than samples, the suite changes events and the
            samples are images, or chip-only questions are asked of something else, of fewer than
            two samples, or in a norm whose balls they do not search.
        RangeError: If they are asked of a chip whose weights are wider than a byte.
    """

    config: AuditConfig
    targets: Mapping[str, Target]
    samples: Samples
    device: torch.device
    sources: Mapping[str, Target] = field(default_factory=dict)
    stages: Mapping[str, Target] = field(default_factory=dict)
    trial: Samples | None = None

    def __post_init__(self) -> None:
        if len(self.samples) < self.config.shards:
            raise ConfigError(
                f"expected at most {len(self.samples)} shards, one a sample, got "
                f"{self.config.shards}; ask for fewer"
            )
        if self.config.attacks.needs_frames:
            self.config.threat.require_cells()
        if self.config.chip_questions:
            self._check_questions()

    @classmethod
    def of(
        cls,
        config: AuditConfig,
        *,
        float_target: Target,
        hardware_target: Target,
        images: UInt8[np.ndarray, "N C H W"],
        labels: Int64[np.ndarray, " labels"],
        sources: Mapping[str, Target] | None = None,
        stages: Mapping[str, Target] | None = None,
        trial: Samples | None = None,
        device: torch.device | str = "cpu",
    ) -> "Plan":
        """An audit of two models on the first samples of a test set.

        Args:
            config: What to do.
            float_target: The float network.
            hardware_target: The chip's integers.
            images: Test images, in their official order.
            labels: Their classes.
            sources: By name, networks trained apart from both: attacks on them are carried over.
                Their weights are known by the audit's context alone.
            stages: By name and in order, what lies between the float network and the chip.
            trial: Images that are not audited, to find the estimators that are strongest here.
            device: Where the targets run.

        Raises:
            ConfigError: As the plan itself.
            DataError: If there are fewer images than samples, or images and labels do not fit.
        """
        samples = Samples.of(images, labels, wanted=config.samples)
        return cls(
            config=_with_distinct_radii(config, samples),
            targets={"float": float_target, "hardware": hardware_target},
            samples=samples,
            device=torch.device(device),
            sources=sources or {},
            stages=stages or {},
            trial=trial,
        )

    @cached_property
    def rankings(self) -> dict[str, tuple[str, ...]]:
        """By side, what the waves of the suite differentiate spikes with, the strongest first."""
        return {
            side: ranking(self.config, self.targets[side], self.trial, device=self.device)
            for side in SIDES
        }

    def identity(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Everything that decides the results, as plain JSON."""
        options, found = asdict(self.config), versions()
        options = {key: options[key] for key in options if key not in INDIFFERENT}
        trial = None if self.trial is None else {"rule": RULE, "images": _digest(self.trial)}
        return {
            "format": FORMAT,
            "config": {k: list(v) if isinstance(v, tuple) else v for k, v in options.items()},
            "attacks": {side: self._attacks(side) for side in SIDES},
            "targets": {side: target.name for side, target in self.targets.items()},
            "sources": sorted(self.sources),
            "stages": list(self.stages),
            "trial": trial,
            "samples": _digest(self.samples),
            "context": dict(context),
            "device": self.device.type,
            "versions": {key: found[key] for key in DECISIVE if key in found},
        }

    def shard(self, number: int) -> Work:
        """What one shard, counted from 0, has to do: consecutive samples, as many as the others."""
        places = np.array_split(np.arange(len(self.samples)), self.config.shards)[number]
        return Work(
            config=self.config,
            targets=self.targets,
            sources=self.sources,
            stages=self.stages,
            rankings=self.rankings,
            samples=self.samples.at(places),
            on_curve=places < self.config.curve_samples,
            device=self.device,
        )

    def measure(
        self, journal: Journal, tracker: Tracker, *, only: int | None = None
    ) -> Ledger | None:
        """The rows of all shards, in the order of one; runs what is not in the journal yet.

        Args:
            journal: What earlier runs have done.
            tracker: Shows progress over all shards.
            only: Does this shard alone, in this process, and answers None.
        """
        wanted = [k for k in self.missing(journal) if only in (None, k)]
        engine = ENGINES["local" if only is not None else self.config.engine]
        with tracker.task("audit", sum(self.shard(k).pieces for k in wanted)) as task:
            for number, table in engine(self, wanted, journal, task):
                journal.finish(self._named(number), table)
        if only is not None:
            return None
        tables = [journal.read(self._named(k)) for k in range(self.config.shards)]
        return Ledger(in_order(pa.concat_tables(tables)))

    def missing(self, journal: Journal) -> list[int]:
        """Shards that are not in the journal."""
        return [k for k in range(self.config.shards) if not journal.has(self._named(k))]

    def keeping(self, journal: Journal, number: int) -> Callable[..., pa.Table]:
        """Remembers the pieces of a shard under names of its own."""
        return lambda name, compute: journal.rows(f"{self._named(number)}-{name}", compute)

    def curve(self, ledger: Ledger) -> Curve:
        """Who stands at each level of the curve."""
        return {
            side: {
                level: ledger.right(role=CURVE, source=side, epsilon=level / LEVELS)
                for level in self.config.curve
            }
            for side in SIDES
        }

    def radius_at(self, level: int) -> float:
        """Epsilon at a level of the curve."""
        return self.config.threat.wider(level, self.samples.entries)

    def rates(self, meters: Mapping[str, RateMeter]) -> dict[str, list[dict[str, Any]]]:
        """Spike rates of clean images; an empty list for a model without a meter."""
        size, device = self.config.batch_size, self.device
        return {
            side: mean_rates(meters[side], self.samples, batch_size=size, device=device)
            if side in meters
            else []
            for side in SIDES
        }

    def chip_only(self) -> dict[str, Any] | None:
        """What only the chip is asked; None where nothing is."""
        config = self.config
        if not config.chip_questions:
            return None
        chip = self._chip()
        asked = Asked(
            chip=chip,
            samples=self.samples.first(config.chip_questions),
            threat=config.threat,
            estimator=estimators(config, chip)[0],
            batch_size=config.batch_size,
            seed=config.seed,
            device=self.device,
        )
        return chip_only(asked, confidence=config.confidence)

    def _check_questions(self) -> None:
        """Refuses chip-only questions before the audit that nothing could answer after it."""
        check_width(self._chip().program)
        asked = min(self.config.chip_questions, len(self.samples))
        if asked < 2:
            raise ConfigError(
                f"expected chip-only questions of at least 2 samples, for intervals, got {asked}; "
                "ask more, or none"
            )
        if not CLIMB.searches(self.config.norm):
            raise ConfigError(
                f"expected another norm than {self.config.norm} for chip-only questions, which "
                f"{CLIMB.name} answers; leave them out"
            )

    def _chip(self) -> TwinClassifier:
        chip = self.targets[SIDES[1]]
        if not isinstance(chip, TwinClassifier):
            raise ConfigError(
                f"expected the integers of a chip for chip-only questions, got {chip.name!r}; "
                "leave them out"
            )
        return chip

    def _named(self, number: int) -> str:
        return f"shard-{number:05}-of-{self.config.shards:05}"

    def _attacks(self, side: str) -> list[str]:
        """What is run on a model, but for the curve; waves before their estimators are ranked."""
        config, target = self.config, self.targets[side]
        looks = chain(*second_looks(config, target).values())
        ran = chain(members(config, target), controls(config, target), looks)
        return [*map(repr, ran), *map(repr, config.attacks.waves)]


def _digest(samples: Samples) -> str:
    """SHA-256 of images and labels."""
    digest = hashlib.sha256()
    for array in (samples.images, samples.labels):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _with_distinct_radii(config: AuditConfig, samples: Samples) -> AuditConfig:
    """Without levels of the curve whose ball is that of a level before: l0 counts whole pixels."""
    radii = [config.threat.wider(level, samples.entries) for level in config.curve]
    first = [k for k, radius in enumerate(radii) if radius not in radii[:k]]
    return replace(config, curve=tuple(config.curve[k] for k in first))
