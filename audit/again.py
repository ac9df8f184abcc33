"""Adversarial points on the chip found again: what an audit keeps of them is their rows."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Int64

from ..attacks.suite import attack_named
from ..attacks.target import Target
from ..attacks.trial import Attempt
from .config import AuditConfig
from .ledger import SIDES, SUITE, Ledger, white_box
from .samples import Batch

VICTIM = SIDES[1]

Member = tuple[str, str | None]
"""An attack of the suite and its estimator."""


def again(config: AuditConfig, member: Member, batch: Batch, target: Target) -> Attempt:
    """What an attack of the suite finds on a batch, as it did in the audit."""
    name, estimator = member
    attack = attack_named(name)
    restarts = config.restarts if attack.is_random else 1
    chosen = replace(attack, estimator=estimator, restarts=restarts)
    return batch.under(chosen, target, threat=config.threat, seed=config.seed)


def on_events(ledger: Ledger) -> tuple[Member, ...]:
    """Attacks on the chip that change whole events, each with its estimator."""
    found = ledger.members(SUITE, VICTIM, VICTIM)
    return tuple(member for member in found if attack_named(member[0]).needs_frames)


def ranked(ledger: Ledger, members: Sequence[Member]) -> Int64[np.ndarray, "members N"]:
    """Places in `members` for each sample, the strongest attack first.

    Those that fooled the chip with the fewest events; then those that did not, by their loss.
    """
    found = []
    for name, estimator in members:
        where = white_box(VICTIM, name, estimator)
        stands = ledger.right(**where)
        events = np.where(stands, 0.0, ledger.events(**where))
        found.append((-ledger.loss(**where), events, stands.astype(float)))
    return np.lexsort(np.stack(found, axis=1), axis=0).astype(np.int64)
