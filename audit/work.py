"""All that is asked of some samples, as pieces that do not depend on each other's order.

What a sample gets depends on it alone, so the samples of an audit may be cut into shards and each
be worked on anywhere.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool

from ..attacks.attack import Attack
from ..attacks.lattice import LEVELS, ThreatModel
from ..attacks.suite import crossed
from ..attacks.target import Target
from . import curve as curves
from .cascade import Cascade, Stage
from .cells import Bench, carriers, controls, estimators, members, second_looks
from .config import CURVE_ATTACK, AuditConfig
from .ledger import (
    BLACK_BOX,
    CLEAN,
    CONTINUOUS,
    CONTROL,
    CURVE,
    OWN,
    PROBE,
    SAME,
    SCHEMA,
    SIDES,
    SUITE,
    Ledger,
    rows,
)
from .samples import Batch, Samples

Compute = Callable[[], pa.Table]
Keep = Callable[[str, Compute], pa.Table]
"""Of a piece's name and its work: its rows, computed or remembered."""

Examine = Callable[[Batch], pa.Table]


def computed(name: str, compute: Compute) -> pa.Table:
    """A `Keep` that remembers nothing."""
    del name
    return compute()


@dataclass(frozen=True, kw_only=True, eq=False)
class Work:
    """Samples, the models, and what to do.

    Args:
        config: What to do.
        targets: Both models.
        sources: Networks trained apart from them, that attacks are carried over from.
        stages: What lies between both models, in order.
        rankings: By side, the estimators that pursue what is left, the strongest first.
        samples: Which samples.
        on_curve: Which of them the curve over epsilon uses.
        device: Where the targets run.
    """

    config: AuditConfig
    targets: Mapping[str, Target]
    sources: Mapping[str, Target]
    stages: Mapping[str, Target]
    rankings: Mapping[str, tuple[str, ...]]
    samples: Samples
    on_curve: Bool[np.ndarray, " N"]
    device: torch.device

    @property
    def pieces(self) -> int:
        """How many pieces there are."""
        batches = self.samples.batch_count(self.config.batch_size)
        return batches * len(list(self._per_batch())) + len(list(self._of_all(None)))

    def measure(
        self, keep: Keep = computed, *, advance: Callable[[str], None] = lambda name: None
    ) -> pa.Table:
        """All rows.

        Args:
            keep: Computes a piece, or remembers it.
            advance: Told the name of each finished piece.
        """
        tables = []

        def do(name: str, compute: Compute) -> None:
            tables.append(keep(name, compute))
            advance(name)

        for name, examine in self._per_batch():
            for number in range(self.samples.batch_count(self.config.batch_size)):
                do(f"{name}-{number:05}", lambda e=examine, k=number: e(self._batch(k)))
        ledger = Ledger(pa.concat_tables(tables))
        for name, compute in self._of_all(ledger):
            do(name, compute)
        return pa.concat_tables(tables)

    def _batch(self, number: int) -> Batch:
        return self.samples.batch(number, self.config.batch_size, device=self.device)

    def _bench(self) -> Bench:
        return Bench(
            targets={**self.targets, **self.sources, **self.stages},
            suite=self.config.attacks,
            threat=self.config.threat,
            seed=self.config.seed,
        )

    def _per_batch(self) -> Iterator[tuple[str, Examine]]:
        """Name and work of everything that is done batch by batch."""
        config, bench = self.config, self._bench()
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
        for source, target in self.sources.items():
            for attack in carriers(config, target):
                yield _job(bench.carried, source, attack, BLACK_BOX)
        for stage in self.stages:
            yield f"{CLEAN}-{stage}", lambda b, s=stage: bench.clean(b, side=s)
        if self.stages:
            onto = staircase(self.stages)
            for attack in self._stage_attacks:
                yield _job(partial(bench.carried, onto=onto), onto[0], attack, SAME)

    def _of_all(self, ledger: Ledger | None) -> Iterator[tuple[str, Compute]]:
        """Name and work of what needs the rows of all batches; without them, the names alone."""
        if self.config.continuous:
            yield CONTINUOUS, lambda: self._continuous(_there(ledger))
        for stage in staircase(self.stages) if self.stages else ():
            yield f"{OWN}-{stage}", lambda s=stage: self._own(_there(ledger), s)
        for side in SIDES:
            yield f"second-looks-{side}", lambda s=side: self._second_looks(_there(ledger), s)
            for level in self.config.curve:
                yield (
                    f"{CURVE}-{side}-{level:03}",
                    lambda s=side, k=level: self._point(_there(ledger), s, k),
                )

    def _continuous(self, ledger: Ledger) -> pa.Table:
        """Rows of the suite's attacks on the float network off the lattice, as a cascade."""
        side, config = SIDES[0], self.config
        threat = replace(config.threat, epsilon=config.threat.radius, lattice=False)
        pursuit = self._cascade(side, threat=threat, as_published=config.attacks.as_published)
        attacks = [a for a in members(config, self.targets[side]) if not a.needs_frames]
        standing, loss = ledger.clean_right[side], ledger.clean_loss(side)
        stages = pursuit.after_each(attacks, standing, loss=loss)
        return pa.concat_tables([self._left(CONTINUOUS, side, stage) for stage in stages])

    @property
    def _stage_attacks(self) -> tuple[Attack, ...]:
        """One attack under the usual estimators, the same at every stage."""
        return crossed([CURVE_ATTACK], estimators(self.config, self.targets[SIDES[0]]))

    def _own(self, ledger: Ledger, stage: str) -> pa.Table:
        """Rows of the attacks on a stage itself."""
        right = ledger.right(role=CLEAN, evaluated_on=stage)
        stages = self._cascade(stage).after_each(self._stage_attacks, right)
        return pa.concat_tables([self._left(OWN, stage, found) for found in stages])

    def _second_looks(self, ledger: Ledger, side: str) -> pa.Table:
        """Rows of the suite's waves, then of second looks at what the suite has left."""
        config, target, pursuit = self.config, self.targets[side], self._cascade(side)
        standing, loss = ledger.standing(side), ledger.largest_loss(side)
        waves = config.attacks.pursuers(self.rankings[side], restarts=config.restarts)
        tables = [SCHEMA.empty_table()]
        for stage in pursuit.after_each(waves, standing, loss=loss):
            tables.append(self._left(SUITE, side, stage))
            standing = stage.left
        for role, attacks in second_looks(config, target).items():
            stages = pursuit.after_each(attacks, standing, loss=loss)
            tables += [self._left(role, side, stage) for stage in stages]
        return pa.concat_tables(tables)

    def _cascade(
        self, side: str, *, threat: ThreatModel | None = None, as_published: bool = False
    ) -> Cascade:
        return Cascade(
            target={**self.targets, **self.stages}[side],
            samples=self.samples,
            threat=threat or self.config.threat,
            batch_size=self.config.batch_size,
            seed=self.config.seed,
            device=self.device,
            as_published=as_published,
        )

    def _left(self, role: str, side: str, stage: Stage) -> pa.Table:
        """Rows of an attack of a cascade: who is left after it."""
        return rows(
            len(self.samples),
            sample=self.samples.keys,
            role=role,
            source=side,
            evaluated_on=side,
            attack=stage.attack.name,
            estimator=stage.attack.estimator,
            restarts=stage.attack.restarts,
            epsilon=self.config.threat.radius,
            is_right=stage.left,
            fooled_any=~stage.left,
            queries=stage.asked,
        )

    def _point(self, ledger: Ledger, side: str, level: int) -> pa.Table:
        """Rows of one point of the curve."""
        if not self.on_curve.any():
            return SCHEMA.empty_table()
        config, samples = self.config, self.samples.where(self.on_curve)
        epsilon = config.threat.wider(level, samples.entries)
        standing = curves.unbroken(
            self.targets[side],
            samples,
            threat=config.threat,
            epsilon=epsilon,
            estimators=estimators(config, self.targets[side]),
            is_clean_right=ledger.clean_right[side][self.on_curve],
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


def staircase(stages: Iterable[str]) -> tuple[str, ...]:
    """The float network, what lies between, the chip."""
    return SIDES[0], *stages, SIDES[1]


def _there(ledger: Ledger | None) -> Ledger:
    assert ledger is not None, "work is done with rows"
    return ledger


def _job(
    examine: Callable[..., pa.Table], source: str, attack: Attack, role: str
) -> tuple[str, Examine]:
    name = "-".join(filter(None, (role.replace(" ", "-"), source, attack.name, attack.estimator)))
    return name, lambda batch: examine(batch, source=source, attack=attack, role=role)
