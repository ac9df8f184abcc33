"""Every attack, crafted on one model and judged on both.

One full-length run a sample, attack and estimator serves two cells: whether the run fooled its own
source (white box), and whether its point of largest loss fools the other model (transfer). No
sample is left out of a transfer cell because the source already lost it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..attacks.attack import Attack
from ..attacks.lattice import ThreatModel
from ..attacks.loss import cross_entropy, is_fooled
from ..attacks.suite import Suite, attack_named
from ..attacks.target import Target
from ..attacks.trial import Attempt
from ..core.errors import ConfigError
from .config import AuditConfig
from .ledger import CLEAN, SIDES, rows
from .samples import Batch

NOISE = "noise"


@dataclass(frozen=True, kw_only=True, eq=False)
class Bench:
    """Both models side by side, and the rule that they are judged by."""

    targets: Mapping[str, Target]
    suite: Suite
    threat: ThreatModel
    seed: int

    def clean(self, batch: Batch, *, side: str) -> pa.Table:
        """Rows of a batch without an attack."""
        logits = _logits(self.targets[side], batch.images)
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
        return pa.concat_tables([own, self._transfer(batch, attempt, source, attack, role)])

    def _attack(self, batch: Batch, source: str, attack: Attack) -> Attempt:
        return attack(
            self.targets[source],
            batch.images,
            batch.labels,
            threat=self.threat,
            keys=batch.keys,
            seed=self.seed,
        )

    def _own(
        self, batch: Batch, attempt: Attempt, source: str, attack: Attack, role: str
    ) -> pa.Table:
        logits = _logits(self.targets[source], attempt.images)
        return self._rows(
            batch,
            attempt,
            (source, source, role),
            attack,
            is_right=~self.suite.fooled(attack, attempt),
            logits=logits,
        )

    def _transfer(
        self, batch: Batch, attempt: Attempt, source: str, attack: Attack, role: str
    ) -> pa.Table:
        logits = _logits(self.targets[other(source)], attempt.images)
        return self._rows(
            batch,
            attempt,
            (source, other(source), role),
            attack,
            is_right=~is_fooled(logits, batch.labels),
            logits=logits,
        )

    def _rows(
        self,
        batch: Batch,
        attempt: Attempt,
        place: tuple[str, str, str],
        attack: Attack,
        *,
        is_right: Bool[Tensor, " B"],
        logits: Float[Tensor, "B K"],
    ) -> pa.Table:
        source, evaluated_on, role = place
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
            is_tied=_numpy(is_tied(logits)[kept]),
            queries=attempt.queries,
            zero_gradients=_numpy(attempt.zero_gradients[kept]),
            loss=_numpy(cross_entropy(logits, batch.labels)[kept]),
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


def estimators(config: AuditConfig, target: Target) -> tuple[str, ...]:
    """Those that an audit uses on a target.

    Raises:
        ConfigError: If the target does not have one that the audit asks for.
    """
    if config.estimators is None:
        return target.estimators
    unknown = [name for name in config.estimators if name not in target.estimators]
    if unknown:
        raise ConfigError(
            f"expected estimators among {', '.join(target.estimators)} for {target.name!r}, "
            f"got {unknown[0]!r}; leave it out"
        )
    return config.estimators


def controls(suite: Suite) -> tuple[Attack, ...]:
    """What an alarm compares with and the suite does not hold."""
    return () if NOISE in suite.attacks else (attack_named(NOISE),)


def is_tied(logits: Float[Tensor, "N K"]) -> Bool[Tensor, " N"]:
    """Whether more than one class has the largest logit."""
    return (logits == logits.amax(dim=1, keepdim=True)).sum(dim=1) > 1


def _logits(target: Target, images: Tensor) -> Tensor:
    with torch.no_grad():
        return target(images)


def _numpy(values: Tensor) -> np.ndarray:
    return values.cpu().numpy()
