"""Every attack, crafted on one model and judged on both.

One full-length run a sample, attack and estimator serves two cells: whether the run fooled its own
source (white box), and whether its point of largest loss fools the other model (transfer). No
sample is left out of a transfer cell because the source already lost it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..attacks.attack import Attack
from ..attacks.lattice import ThreatModel
from ..attacks.loss import cross_entropy, is_fooled, is_tied
from ..attacks.suite import Suite, attack_named, crossed, usable
from ..attacks.target import Target
from ..attacks.trial import Attempt
from ..core.errors import ConfigError
from .config import AuditConfig
from .ledger import CLEAN, PROBE, SEARCH, SIDES, WIDTHS, rows
from .probe import changes, misled
from .samples import Batch
from .steady import steady_logits

CORNERS = "corners"
FEW_STEPS = "pgd3-scaled"
SEARCHES = ("square200",)
WIDTH_ATTACK = "pgd10-scaled"
WIDTH_SWEEP = ("triangle-0.5", "triangle-2")


@dataclass(frozen=True, kw_only=True, eq=False)
class Bench:
    """Models by name, both sides among them, and the rule that they are judged by."""

    targets: Mapping[str, Target]
    suite: Suite
    threat: ThreatModel
    seed: int

    def clean(self, batch: Batch, *, side: str) -> pa.Table:
        """Rows of a batch without an attack, on a model that says the same twice."""
        logits = steady_logits(self.targets[side], batch.images)
        kept = slice(batch.count)
        return rows(
            batch.count,
            sample=_numpy(batch.keys[kept]),
            role=CLEAN,
            evaluated_on=side,
            epsilon=0.0,
            is_right=_numpy(~is_fooled(logits, batch.labels)[kept]),
            is_tied=_numpy(is_tied(logits)[kept]),
            loss=_numpy(cross_entropy(logits, batch.labels)[kept]),
        )

    def white_box(self, batch: Batch, *, source: str, attack: Attack, role: str) -> pa.Table:
        """Rows of one attack on the model that it was crafted on."""
        return self._own(batch, self._attack(batch, source, attack), source, attack, role)

    def crossed(self, batch: Batch, *, source: str, attack: Attack, role: str) -> pa.Table:
        """Rows of one attack on both models."""
        attempt = self._attack(batch, source, attack)
        own = self._own(batch, attempt, source, attack, role)
        place = source, other(source), role
        return pa.concat_tables([own, self._transfer(batch, attempt, place, attack)])

    def carried(
        self,
        batch: Batch,
        *,
        source: str,
        attack: Attack,
        role: str,
        onto: Sequence[str] = SIDES,
    ) -> pa.Table:
        """Rows of the end points of one attack, judged on other models."""
        attempt = self._attack(batch, source, attack)
        return pa.concat_tables(
            self._transfer(batch, attempt, (source, name, role), attack) for name in onto
        )

    def probe(self, batch: Batch, *, side: str, estimators: Sequence[str]) -> pa.Table:
        """Rows that compare each estimator's gradient with how the loss changes."""
        target, kept = self.targets[side], slice(batch.count)
        given = batch.images, batch.labels
        found = changes(target, *given, threat=self.threat, keys=batch.keys, seed=self.seed)
        tables = []
        for estimator in estimators:
            moving, wrong = misled(target.using(estimator), *given, found=found)
            tables.append(
                rows(
                    batch.count,
                    sample=_numpy(batch.keys[kept]),
                    role=PROBE,
                    source=side,
                    evaluated_on=side,
                    attack=PROBE,
                    estimator=estimator,
                    epsilon=self.threat.radius,
                    is_right=True,
                    directions=moving[kept],
                    misled=wrong[kept],
                )
            )
        return pa.concat_tables(tables)

    def _attack(self, batch: Batch, source: str, attack: Attack) -> Attempt:
        return batch.under(attack, self.targets[source], threat=self.threat, seed=self.seed)

    def _own(
        self, batch: Batch, attempt: Attempt, source: str, attack: Attack, role: str
    ) -> pa.Table:
        return self._rows(
            batch,
            attempt,
            (source, source, role),
            attack,
            is_right=~self.suite.fooled(attack, attempt),
            end=(attempt.is_tied, attempt.loss),
            shown=attempt.shown,
            fooled_any=attempt.fooled_any,
        )

    def _transfer(
        self, batch: Batch, attempt: Attempt, place: tuple[str, str, str], attack: Attack
    ) -> pa.Table:
        logits = _logits(self.targets[place[1]], attempt.images)
        return self._rows(
            batch,
            attempt,
            place,
            attack,
            is_right=~is_fooled(logits, batch.labels),
            end=(is_tied(logits), cross_entropy(logits, batch.labels)),
            shown=attempt.images,
        )

    def _rows(
        self,
        batch: Batch,
        attempt: Attempt,
        place: tuple[str, str, str],
        attack: Attack,
        *,
        is_right: Bool[Tensor, " B"],
        end: tuple[Bool[Tensor, " B"], Float[Tensor, " B"]],
        shown: Float[Tensor, "B C H W"],
        fooled_any: Bool[Tensor, " B"] | None = None,
    ) -> pa.Table:
        """Rows of one attack; `end` is what its end point does: whether it ties, and the loss."""
        source, evaluated_on, role = place
        cells = self.threat.cells
        events = None if cells is None else cells.changed(shown, batch.images)
        kept = slice(batch.count)
        return rows(
            batch.count,
            sample=_numpy(batch.keys[kept]),
            role=role,
            source=source,
            evaluated_on=evaluated_on,
            attack=attack.name,
            estimator=attack.estimator,
            restarts=attack.restarts,
            epsilon=self.threat.radius,
            is_right=_numpy(is_right[kept]),
            fooled_any=None if fooled_any is None else _numpy(fooled_any[kept]),
            is_tied=_numpy(end[0][kept]),
            queries=attempt.queries,
            zero_gradients=_numpy(attempt.zero_gradients[kept]),
            loss=_numpy(end[1][kept]),
            events=None if events is None else _numpy(events[kept]),
        )


def other(side: str) -> str:
    """The model on the other side."""
    return SIDES[1 - SIDES.index(side)]


def members(config: AuditConfig, target: Target) -> tuple[Attack, ...]:
    """Attacks of the suite with the estimators of a target.

    Raises:
        ConfigError: If the target does not have an estimator that the audit asks for.
    """
    return config.attacks.members(estimators(config, target), restarts=config.restarts)


def carriers(config: AuditConfig, source: Target) -> tuple[Attack, ...]:
    """Attacks of the suite on a network trained apart, with those of the estimators it has."""
    wanted = config.estimators or config.attacks.estimators
    return config.attacks.members(usable(wanted, source.estimators), restarts=config.restarts)


def estimators(config: AuditConfig, target: Target) -> tuple[str, ...]:
    """Those that an audit uses on a target: the suite's where it has them, else all of its own.

    Raises:
        ConfigError: If the target does not have one that the audit asks for.
    """
    if config.estimators is None:
        return usable(config.attacks.estimators, target.estimators)
    unknown = [name for name in config.estimators if name not in target.estimators]
    if unknown:
        raise ConfigError(
            f"expected estimators among {', '.join(target.estimators)} for {target.name!r}, "
            f"got {unknown[0]!r}; leave it out"
        )
    return config.estimators


def controls(config: AuditConfig, target: Target) -> tuple[Attack, ...]:
    """What alarms compare the suite with: random corners, as many as FGSM has tries; few steps."""
    used = estimators(config, target)
    corners = replace(attack_named(CORNERS), restarts=len(used))
    return corners, replace(attack_named(FEW_STEPS), estimator=used[0])


def second_looks(config: AuditConfig, target: Target) -> dict[str, tuple[Attack, ...]]:
    """By role, what is tried on the samples that the suite has left."""
    used = estimators(config, target)
    widths = [name for name in WIDTH_SWEEP if name in target.estimators and name not in used]
    found = {SEARCH: crossed(SEARCHES, used), WIDTHS: crossed([WIDTH_ATTACK], widths)}
    searching = {
        role: tuple(attack for attack in attacks if attack.searches(config.norm))
        for role, attacks in found.items()
    }
    return {role: attacks for role, attacks in searching.items() if attacks}


def _logits(target: Target, images: Tensor) -> Tensor:
    with torch.no_grad():
        return target(images)


def _numpy(values: Tensor) -> np.ndarray:
    return values.cpu().numpy()
