"""Signs that robustness is an artefact of broken gradients rather than of the network.

After Athalye et al. 2018 and Carlini et al. 2019. Each alarm compares a value that was measured in
this audit with a threshold, for each of the two models. An alarm that could not be measured says
so: its `raised` is null.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool

from ..attacks.suite import attack_named
from .cells import NOISE, other
from .config import AuditConfig
from .ledger import CONTROL, SIDES, SUITE, Ledger
from .statistics import difference, pairs, rise, share

LARGE_LEVEL = 64
LEFTOVER = 0.01
STANDARD_ERRORS = 3.0
ZERO_SHARE = 0.5
FEWEST_BREAKS = 10
"""Below it, noise beating FGSM is luck."""
RATES_UNKNOWN = "not measured on networks known to be sound"

Curve = dict[str, dict[int, Bool[np.ndarray, " N"]]]
"""Side, level of 255, which samples stand."""

Measured = tuple[float | None, str | None]
"""A value, or why there is none."""


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One sign of false robustness.

    Args:
        name: Its key.
        model: "float" or "hardware".
        value: What was measured; null where it could not be.
        threshold: Above it (or at it, where `meaning` says so) the alarm is raised.
        raised: Null where nothing was measured.
        meaning: What the value is and what a raised alarm means.
        reason: Why nothing was measured.
        false_alarm_rate: Null until measured.
        false_alarm_reason: Why it is null.
    """

    name: str
    model: str
    value: float | None
    threshold: float
    raised: bool | None
    meaning: str
    reason: str | None
    false_alarm_rate: None = None
    false_alarm_reason: str = RATES_UNKNOWN


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """What alarms are computed from."""

    ledger: Ledger
    curve: Curve
    config: AuditConfig


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How one alarm is measured, and when it is raised: above its threshold, or at it too."""

    name: str
    threshold: float
    meaning: str
    measure: Callable[[Evidence, str], Measured]
    is_raised_at: bool = False

    def judge(self, evidence: Evidence, side: str) -> Alarm:
        """The alarm of one model."""
        value, reason = self.measure(evidence, side)
        return Alarm(
            name=self.name,
            model=side,
            value=value,
            threshold=self.threshold,
            raised=None if value is None else self._is_raised(value),
            meaning=self.meaning,
            reason=reason,
        )

    def _is_raised(self, value: float) -> bool:
        return value > self.threshold or (self.is_raised_at and value == self.threshold)


def alarms(evidence: Evidence) -> list[Alarm]:
    """All alarms, for both models."""
    return [rule.judge(evidence, side) for rule in RULES for side in SIDES]


def _large_epsilon(evidence: Evidence, side: str) -> Measured:
    levels = evidence.curve[side]
    largest = max(levels)
    if largest < LARGE_LEVEL:
        return None, f"the curve ends at {largest}/255, below {LARGE_LEVEL}/255"
    return share(levels[largest], confidence=evidence.config.confidence).low, None


def _rising(evidence: Evidence, side: str) -> Measured:
    levels = sorted(evidence.curve[side])
    if len(levels) < 2:
        return None, "the curve has fewer than two points"
    standing = evidence.curve[side]
    return max(rise(standing[a], standing[b]) for a, b in pairwise(levels)), None


def _more_steps(evidence: Evidence, side: str) -> Measured:
    ledger = evidence.ledger
    names = _attacks_on(ledger, side)
    runs = sorted((int(found[1]), found[0]) for n in names if (found := re.match(r"pgd(\d+)$", n)))
    if len(runs) < 2:
        return None, "the suite runs PGD with one number of steps only"
    standing = [ledger.survivors(SUITE, side, side, attacks=[name]) for _, name in runs]
    return max(rise(a, b) for a, b in pairwise(standing)), None


def _one_step(evidence: Evidence, side: str) -> Measured:
    ledger = evidence.ledger
    iterative = [n for n in _attacks_on(ledger, side) if attack_named(n).steps > 1]
    one_step = [n for n in _attacks_on(ledger, side) if attack_named(n).steps == 1]
    if not iterative or not one_step:
        return None, "the suite runs one-step attacks only, or none"
    stand = {n: ledger.survivors(SUITE, side, side, attacks=[n]) for n in iterative + one_step}
    strongest, quickest = (
        min((stand[name] for name in names), key=np.count_nonzero)
        for names in (iterative, one_step)
    )
    return rise(quickest, strongest), None


def _attacks_on(ledger: Ledger, side: str) -> list[str]:
    return list(dict.fromkeys(name for name, _ in ledger.members(SUITE, side)))


def _zero_gradients(evidence: Evidence, side: str) -> Measured:
    ledger = evidence.ledger
    found: dict[str | None, list[float]] = {}
    for attack, estimator in ledger.members(SUITE, side):
        mean = ledger.mean(
            "zero_gradients",
            role=SUITE,
            source=side,
            evaluated_on=side,
            attack=attack,
            estimator=estimator,
        )
        if mean is not None:
            found.setdefault(estimator, []).append(mean)
    if not found:
        return None, "the suite takes no gradients"
    return min(sum(means) / len(means) for means in found.values()), None


def _noise(evidence: Evidence, side: str) -> Measured:
    ledger = evidence.ledger
    roles = [role for role in (SUITE, CONTROL) if (NOISE, None) in ledger.members(role, side)]
    if "fgsm" not in _attacks_on(ledger, side) or not roles:
        return None, "the suite runs no FGSM"
    fgsm, noise = (
        int((ledger.clean_right[side] & ~ledger.survivors(role, side, side, attacks=[name])).sum())
        for role, name in ((SUITE, "fgsm"), (roles[0], NOISE))
    )
    if fgsm + noise < FEWEST_BREAKS:
        return None, f"noise and FGSM break fewer than {FEWEST_BREAKS} samples together"
    return (noise - fgsm) / len(ledger.clean_right[side]), None


def _black_box(evidence: Evidence, side: str) -> Measured:
    ledger = evidence.ledger
    white = ledger.survivors(SUITE, side, side)
    black = ledger.survivors(SUITE, other(side), side)
    table = pairs(black, white)
    return difference(table, confidence=evidence.config.confidence).low, None


RULES = (
    Rule(
        name="black_box_beats_white_box",
        threshold=0.0,
        measure=_black_box,
        meaning="Lower bound of: robust accuracy under the model's own gradients minus that under "
        "attacks carried over from the other model. Above 0, an attacker without access does "
        "better than one with it: the model's own gradients mislead.",
    ),
    Rule(
        name="large_epsilon",
        threshold=LEFTOVER,
        measure=_large_epsilon,
        meaning="Lower bound of the accuracy at the curve's largest epsilon. Above 1 %, images "
        "survive where almost any image is allowed: the attack fails, not the threat.",
    ),
    Rule(
        name="rises_with_epsilon",
        threshold=STANDARD_ERRORS,
        measure=_rising,
        meaning="Largest rise of accuracy between neighbouring epsilons of the curve, in standard "
        "errors of the paired difference. Above 3, a larger ball does not contain the smaller "
        "one's attacks: the search gets lost.",
    ),
    Rule(
        name="rises_with_steps",
        threshold=STANDARD_ERRORS,
        measure=_more_steps,
        meaning="Largest rise of robust accuracy as PGD takes more steps, in standard errors of "
        "the paired difference. Above 3, gradients do not point anywhere.",
    ),
    Rule(
        name="one_step_beats_iterative",
        threshold=STANDARD_ERRORS,
        measure=_one_step,
        meaning="Robust accuracy under the strongest iterative attack minus that under the "
        "strongest one-step attack, in standard errors of the paired difference. Above 3, "
        "following the gradient leads away from what one step finds.",
    ),
    Rule(
        name="zero_gradients",
        threshold=ZERO_SHARE,
        measure=_zero_gradients,
        meaning="Share of input gradient entries that are exactly zero, for the estimator with the "
        "fewest. Above a half, attacks cannot see most of the image.",
    ),
    Rule(
        name="noise_as_strong_as_fgsm",
        threshold=0.0,
        measure=_noise,
        is_raised_at=True,
        meaning="Share of samples that uniform noise breaks minus the share that FGSM breaks. At 0 "
        "or above, the gradient helps no more than chance.",
    ),
)
