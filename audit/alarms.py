"""Each sign of false robustness judged for each model, chance and several comparisons allowed for.

An alarm that could not be measured says so: its `raised` is null.
"""

from dataclasses import dataclass

from .alarm_rates import Rate, rate_of
from .evidence import Evidence, Measured
from .ledger import SIDES
from .rules import RULES, Rule

FAMILY_LEVEL = 0.05
"""How often chance alone may raise any alarm of a sound audit, all comparisons together."""


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One sign of false robustness.

    Args:
        name: Its key.
        model: "float" or "hardware".
        value: What was measured; null where it could not be.
        threshold: Above it the alarm is raised, if chance does not explain the value.
        p: How likely chance explains it, times the comparisons of the whole audit (Bonferroni);
            null where no chance is involved.
        raised: Null where nothing was measured.
        meaning: What the value is and what a raised alarm means.
        reason: Why nothing was measured.
        false_alarms: In how many audits of sound models it was raised; null until measured.
    """

    name: str
    model: str
    value: float | None
    threshold: float
    p: float | None
    raised: bool | None
    meaning: str
    reason: str | None
    false_alarms: Rate | None


def alarms(evidence: Evidence) -> list[Alarm]:
    """All alarms, for both models."""
    found = [(rule, side, rule.measure(evidence, side)) for rule in RULES for side in SIDES]
    family = sum(measured.comparisons for *_, measured in found if measured.p is not None)
    return [_judged(*each, family=family, norm=evidence.config.norm) for each in found]


def _judged(rule: Rule, side: str, measured: Measured, *, family: int, norm: str) -> Alarm:
    p = None if measured.p is None else min(1.0, measured.p * family)
    return Alarm(
        name=rule.name,
        model=side,
        value=measured.value,
        threshold=rule.threshold,
        p=p,
        raised=_is_raised(rule, measured.value, p),
        meaning=rule.meaning,
        reason=measured.reason,
        false_alarms=rate_of(rule.name, norm),
    )


def _is_raised(rule: Rule, value: float | None, p: float | None) -> bool | None:
    if value is None:
        return None
    return value > rule.threshold and (p is None or p < FAMILY_LEVEL)
