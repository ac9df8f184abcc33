"""What signs of false robustness are read from, and what is read."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from ..attacks.suite import attack_named
from .config import AuditConfig
from .ledger import CONTROL, SEARCH, SUITE, WIDTHS, Ledger

Curve = dict[str, dict[int, Bool[np.ndarray, " curve"]]]
"""Side, level of 255, which samples stand."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one alarm found.

    Args:
        value: Null where nothing could be measured.
        p: How likely chance alone gives as much or more, for the strongest of the comparisons;
            null where no chance is involved.
        comparisons: How many chances it had.
        reason: Why nothing was measured.
    """

    value: float | None
    p: float | None = None
    comparisons: int = 1
    reason: str | None = None


def unmeasured(reason: str) -> Measured:
    """Nothing, and why."""
    return Measured(value=None, reason=reason)


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """Rows, the curve, the classes of the samples, and what was asked."""

    ledger: Ledger
    curve: Curve
    labels: Int64[np.ndarray, " N"]
    config: AuditConfig

    def fooled(
        self, side: str, *, role: str = SUITE, attack: str | None = None, estimator: str = ""
    ) -> Bool[np.ndarray, " N"]:
        """Clean-correct samples that any visited point of some white-box attack fooled.

        Args:
            side: The model.
            role: What the attacks were run for.
            attack: Only those of this name; None for all.
            estimator: Only those with it; "" for all.
        """
        found = np.zeros(len(self.labels), dtype=bool)
        for name, used in self.ledger.members(role, side, side):
            if attack in (None, name) and estimator in ("", used):
                found |= self.ledger.fooled_any(
                    role=role, source=side, evaluated_on=side, attack=name, estimator=used
                )
        return found & self.ledger.clean_right[side]

    def standing(self, side: str) -> Bool[np.ndarray, " N"]:
        """Clean-correct samples that no visited point of the suite fooled."""
        return self.ledger.standing(side)

    def names(self, side: str) -> list[str]:
        """Attacks of the suite on a side."""
        return list(dict.fromkeys(name for name, _ in self.ledger.members(SUITE, side, side)))

    def second_look(self, side: str, role: str) -> Bool[np.ndarray, " N"] | None:
        """Which survivors of the suite a second look broke; None where there was none."""
        members = self.ledger.members(role, side, side)
        if not members:
            return None
        attack, estimator = members[-1]  # each says what is left after it and all before it
        left = self.ledger.right(
            role=role, source=side, evaluated_on=side, attack=attack, estimator=estimator
        )
        return self.standing(side) & ~left

    def largest_loss(self, side: str, role: str, attack: str) -> Float[np.ndarray, " N"] | None:
        """Cross entropy at the worst point of an attack, over its estimators; None without it."""
        found = [
            self.ledger.loss(
                role=role, source=side, evaluated_on=side, attack=name, estimator=estimator
            )
            for name, estimator in self.ledger.members(role, side, side)
            if name == attack
        ]
        return np.max(found, axis=0) if found else None

    def step_runs(self, side: str) -> Iterator[tuple[Bool[np.ndarray, " N"], ...]]:
        """Who stands under PGD with ever more steps, all else alike."""
        runs: dict[tuple[float | None, str | None], dict[int, Bool[np.ndarray, " N"]]] = {}
        right = self.ledger.clean_right[side]
        for role in (CONTROL, SUITE):
            for name, estimator in self.ledger.members(role, side, side):
                if name.startswith("pgd"):
                    attack = attack_named(name)
                    fooled = self.fooled(side, role=role, attack=name, estimator=estimator or "")
                    run = runs.setdefault((attack.step_size, estimator), {})
                    run[attack.steps] = right & ~fooled
        for run in runs.values():
            if len(run) > 1:
                yield tuple(run[steps] for steps in sorted(run))


LOOKS = {SEARCH: "gradient-free search", WIDTHS: "other surrogate widths"}
"""What is tried on samples that the suite has left."""
