"""All that an audit computes, as pieces of work that do not depend on each other's order."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from ..attacks.attack import Attack
from ..attacks.lattice import LEVELS, ThreatModel
from ..attacks.target import Target
from ..core.progress import Tracker
from ..core.record import versions
from . import curve as curves
from .cascade import Cascade
from .cells import Bench, controls, estimators, members, pursuers, second_looks
from .config import CURVE_ATTACK, AuditConfig
from .evidence import Curve
from .journal import Journal
from .ledger import (
    CLEAN,
    CONTINUOUS,
    CONTROL,
    CURVE,
    PROBE,
    SCHEMA,
    SIDES,
    SUITE,
    Ledger,
    rows,
)
from .rates import RateMeter, mean_rates
from .samples import Batch, Samples
from .schema import FORMAT

DECISIVE = ("spikeproof", "commit", "torch", "numpy")
"""What results may not be mixed across."""

Examine = Callable[[Batch], pa.Table]


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """What to do, to which models, with which samples, where."""

    config: AuditConfig
    targets: Mapping[str, Target]
    samples: Samples
    device: torch.device

    def identity(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Everything that decides the results, as plain JSON."""
        options, found = asdict(self.config), versions()
        return {
            "format": FORMAT,
            "config": {k: list(v) if isinstance(v, tuple) else v for k, v in options.items()},
            "attacks": {side: [repr(m) for m in self._all(side)] for side in SIDES},
            "targets": {side: target.name for side, target in self.targets.items()},
            "samples": _digest(self.samples),
            "context": dict(context),
            "device": self.device.type,
            "versions": {key: found[key] for key in DECISIVE if key in found},
        }

    def measure(self, journal: Journal, tracker: Tracker) -> tuple[Ledger, Curve]:
        """Runs what is not in the journal yet."""
        batches = self.samples.batch_count(self.config.batch_size)
        per_batch = list(self._per_batch())
        total = batches * len(per_batch) + len(SIDES) * (len(self.config.curve) + 1)
        with tracker.task("audit", total) as task:
            tables = []
            for name, examine in per_batch:
                for number in range(batches):
                    part = f"{name}-{number:05}"
                    tables.append(journal.rows(part, lambda e=examine, k=number: e(self._batch(k))))
                    task.advance(1, name)
            ledger = Ledger(pa.concat_tables(tables))
            for side in SIDES:
                part = f"second-looks-{side}"
                tables.append(journal.rows(part, lambda s=side: self._second_looks(ledger, s)))
                task.advance(1, part)
                for level in self.config.curve:
                    part = f"{CURVE}-{side}-{level:03}"
                    tables.append(
                        journal.rows(part, lambda s=side, k=level: self._point(ledger, s, k))
                    )
                    task.advance(1, part)
        ledger = Ledger(pa.concat_tables(tables))
        return ledger, self._curve(ledger)

    def rates(self, meters: Mapping[str, RateMeter]) -> dict[str, list[dict[str, Any]]]:
        """Spike rates of clean images; an empty list for a model without a meter."""
        size, device = self.config.batch_size, self.device
        return {
            side: mean_rates(meters[side], self.samples, batch_size=size, device=device)
            if side in meters
            else []
            for side in SIDES
        }

    def _all(self, side: str) -> list[Attack]:
        """Everything that is run on a model, but for the curve."""
        config, target = self.config, self.targets[side]
        looks = second_looks(config, target).values()
        ran = members(config, target), pursuers(config, target), controls(config, target)
        return [*chain(*ran), *chain(*looks)]

    def _batch(self, number: int) -> Batch:
        return self.samples.batch(number, self.config.batch_size, device=self.device)

    def _bench(self, threat: ThreatModel) -> Bench:
        return Bench(
            targets=self.targets, suite=self.config.attacks, threat=threat, seed=self.config.seed
        )

    def _per_batch(self) -> Iterator[tuple[str, Examine]]:
        """Name and work of everything that is done batch by batch."""
        config = self.config
        bench = self._bench(config.threat)
        for side in SIDES:
            yield f"{CLEAN}-{side}", lambda b, s=side: bench.clean(b, side=s)
        for side in SIDES:
            used = estimators(config, self.targets[side])
            yield (
                f"{PROBE}-{side}",
                lambda b, s=side, e=used: bench.probe(b, side=s, estimators=e),
            )
            for attack in members(config, self.targets[side]):
                yield _job(bench.crossed, side, attack, SUITE)
            for attack in controls(config, self.targets[side]):
                yield _job(bench.white_box, side, attack, CONTROL)
        if config.continuous:
            off_lattice = self._bench(
                replace(config.threat, epsilon=config.threat.radius, lattice=False)
            )
            smooth = members(config, self.targets[SIDES[0]])
            for attack in (each for each in smooth if not each.needs_frames):
                yield _job(off_lattice.white_box, SIDES[0], attack, CONTINUOUS)

    def _second_looks(self, ledger: Ledger, side: str) -> pa.Table:
        """Rows of the suite's waves, then of second looks at what the suite has left."""
        fooled = [
            ledger.fooled_any(
                role=SUITE, source=side, evaluated_on=side, attack=name, estimator=estimator
            )
            for name, estimator in ledger.members(SUITE, side, side)
        ]
        standing = ledger.clean_right[side] & ~np.any(fooled, axis=0)
        tables, target, pursuit = [SCHEMA.empty_table()], self.targets[side], self._cascade(side)
        for attack, left, spent in pursuit.after_each(pursuers(self.config, target), standing):
            tables.append(self._left(SUITE, side, attack, left, spent))
            standing = left
        for role, attacks in second_looks(self.config, target).items():
            for attack, left, spent in pursuit.after_each(attacks, standing):
                tables.append(self._left(role, side, attack, left, spent))
        return pa.concat_tables(tables)

    def _cascade(self, side: str) -> Cascade:
        return Cascade(
            target=self.targets[side],
            samples=self.samples,
            threat=self.config.threat,
            batch_size=self.config.batch_size,
            seed=self.config.seed,
            device=self.device,
        )

    def _left(self, role: str, side: str, attack: Attack, left: Any, spent: int) -> pa.Table:
        """Rows of an attack of a cascade: who is left after it; forward passes are a mean."""
        return rows(
            len(self.samples),
            sample=self.samples.keys,
            role=role,
            source=side,
            evaluated_on=side,
            attack=attack.name,
            estimator=attack.estimator,
            restarts=attack.restarts,
            epsilon=self.config.threat.radius,
            is_right=left,
            fooled_any=~left,
            queries=round(spent / len(self.samples)),
        )

    def _point(self, ledger: Ledger, side: str, level: int) -> pa.Table:
        """Rows of one point of the curve."""
        config, samples = self.config, self.samples.first(self.config.curve_samples)
        standing = curves.unbroken(
            self.targets[side],
            samples,
            threat=config.threat,
            level=level,
            estimators=estimators(config, self.targets[side]),
            is_clean_right=ledger.clean_right[side][: len(samples)],
            batch_size=config.batch_size,
            seed=config.seed,
            device=self.device,
        )
        return rows(
            len(samples),
            sample=samples.keys,
            role=CURVE,
            source=side,
            evaluated_on=side,
            attack=CURVE_ATTACK,
            restarts=1,
            epsilon=level / LEVELS,
            is_right=standing,
        )

    def _curve(self, ledger: Ledger) -> Curve:
        return {
            side: {
                level: ledger.right(role=CURVE, source=side, epsilon=level / LEVELS)
                for level in self.config.curve
            }
            for side in SIDES
        }


def _job(
    examine: Callable[..., pa.Table], side: str, attack: Attack, role: str
) -> tuple[str, Examine]:
    name = "-".join(filter(None, (role, side, attack.name, attack.estimator)))
    return name, lambda batch: examine(batch, source=side, attack=attack, role=role)


def _digest(samples: Samples) -> str:
    """SHA-256 of images and labels."""
    digest = hashlib.sha256()
    for array in (samples.images, samples.labels):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
