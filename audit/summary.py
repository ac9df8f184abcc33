"""From rows to the numbers of audit.json."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Int64

from ..attacks.attack import Attack
from ..attacks.suite import attack_named
from .alarms import alarms
from .config import AuditConfig
from .evidence import Curve, Evidence
from .ledger import (
    BLACK_BOX,
    CELLS,
    CLEAN,
    CONTINUOUS,
    CONTROL,
    OWN,
    SAME,
    SEARCH,
    SIDES,
    SUITE,
    WIDTHS,
    Ledger,
    cell_name,
)
from .statistics import difference, mcnemar_exact, pairs, share, survival
from .work import staircase

METHODS = {
    "shares": "Wilson score interval",
    "difference": "Newcombe 1998, method 10, paired",
    "survival": "Donner and Zou 2012, MOVER-R, paired",
    "mcnemar": "exact, two-sided",
}


def summarize(
    config: AuditConfig,
    *,
    ledger: Ledger,
    curve: Curve,
    labels: Int64[np.ndarray, " N"],
    radius_at: Callable[[int], float],
    sources: Iterable[str] = (),
    stages: Collection[str] = (),
) -> dict[str, Any]:
    """Everything in audit.json that follows from the rows.

    Args:
        config: What was asked.
        ledger: The rows.
        curve: Who stands at each epsilon.
        labels: Classes of the samples.
        radius_at: Epsilon at a level of the curve.
        sources: Names of the black boxes.
        stages: Names of what lies between float network and chip.
    """
    found = alarms(Evidence(ledger=ledger, curve=curve, labels=labels, config=config))
    return {
        "clean": {side: _share(config, ledger.clean_right[side]) for side in SIDES},
        "robust": {
            cell_name(*cell): _share(config, ledger.survivors(SUITE, *cell)) for cell in CELLS
        },
        "robust_continuous_float": _continuous(config, ledger),
        "black_box": [_black_box(config, ledger, source) for source in sources],
        "waterfall": [_stage(config, ledger, name) for name in staircase(stages) if stages],
        "published_rule": _published(config, ledger),
        "ties": {side: ledger.total("is_tied", role=CLEAN, evaluated_on=side) for side in SIDES},
        "attacks": _attacks(config, ledger),
        "passes": {side: _passes(ledger, side) for side in SIDES},
        "curve": _curve(config, curve, radius_at),
        "alarms": [asdict(alarm) for alarm in found],
        "methods": METHODS,
        **_comparison(config, ledger),
    }


def _comparison(config: AuditConfig, ledger: Ledger) -> dict[str, Any]:
    table = pairs(*(ledger.survivors(SUITE, side, side) for side in SIDES))
    change = difference(table, confidence=config.confidence)
    ratio = survival(table, confidence=config.confidence)
    return {
        "difference": {key: 100 * value for key, value in asdict(change).items()},
        "mcnemar": {"p": mcnemar_exact(table), **asdict(table)},
        "survival": asdict(ratio),
    }


def _share(config: AuditConfig, right: Any) -> dict[str, float]:
    return asdict(share(right, confidence=config.confidence))


def _continuous(config: AuditConfig, ledger: Ledger) -> dict[str, float] | None:
    if not config.continuous:
        return None
    return _share(config, ledger.survivors(CONTINUOUS, "float", "float"))


def _published(config: AuditConfig, ledger: Ledger) -> dict[str, Any] | None:
    """The published code's rule: a sample wrong when clean counts as right if attacks repair it."""
    if not config.attacks.as_published:
        return None
    return {cell_name(*cell): _share(config, ledger.unbroken(SUITE, *cell)) for cell in CELLS}


def _black_box(config: AuditConfig, ledger: Ledger, source: str) -> dict[str, Any]:
    kept = {side: ledger.survivors(BLACK_BOX, source, side) for side in SIDES}
    return {"source": source, **{side: _share(config, kept[side]) for side in SIDES}}


def _stage(config: AuditConfig, ledger: Ledger, name: str) -> dict[str, Any]:
    right = ledger.right(role=CLEAN, evaluated_on=name)
    same, own = (
        right & ledger.unbroken(role, source, name)
        for role, source in ((SAME, SIDES[0]), (OWN, name))
    )
    shares = {"clean": right, "same_points": same, "own_points": own}
    return {"stage": name, **{key: _share(config, kept) for key, kept in shares.items()}}


def _passes(ledger: Ledger, side: str) -> float:
    """Forward passes a sample of all attacks on a model, but for the curve."""
    found = [
        ledger.mean(
            "queries",
            role=role,
            source=side,
            evaluated_on=side,
            attack=attack,
            estimator=estimator,
        )
        for role in (SUITE, CONTROL, CONTINUOUS, SEARCH, WIDTHS)
        for attack, estimator in ledger.members(role, side, side)
    ]
    return float(sum(mean or 0.0 for mean in found))


def _attacks(config: AuditConfig, ledger: Ledger) -> list[dict[str, Any]]:
    """Each attack with each estimator, in the order in which they ran."""
    ran = [pair for side in SIDES for pair in ledger.members(SUITE, side, side)]
    is_of_events = config.cells is not None
    return [
        _attack(ledger, name, estimator, is_of_events=is_of_events)
        for name, estimator in dict.fromkeys(ran)
    ]


def _attack(
    ledger: Ledger, name: str, estimator: str | None, *, is_of_events: bool
) -> dict[str, Any]:
    """One attack with one estimator; null in the cells of a model that does not have it."""
    sources = {side for side in SIDES if (name, estimator) in ledger.members(SUITE, side, side)}
    judged = {cell for cell in CELLS if (name, estimator) in ledger.members(SUITE, *cell)}
    attack = attack_named(name)
    own = {
        side: {
            "role": SUITE,
            "source": side,
            "evaluated_on": side,
            "attack": name,
            "estimator": estimator,
        }
        for side in sources
    }
    return {
        "name": name,
        "estimator": estimator,
        "steps": attack.steps,
        "step_size": attack.step_size,
        "queries": {s: ledger.mean("queries", **own[s]) if s in own else None for s in SIDES},
        "zero_gradients": {
            s: ledger.mean("zero_gradients", **own[s]) if s in own else None for s in SIDES
        },
        "accuracy": {
            cell_name(source, side): float(
                ledger.robust(**{**own[source], "evaluated_on": side}).mean()
            )
            if (source, side) in judged
            else None
            for source, side in CELLS
        },
        **(_events(ledger, attack, own) if is_of_events else {}),
    }


def _events(
    ledger: Ledger, attack: Attack, own: Mapping[str, Mapping[str, str | None]]
) -> dict[str, Any]:
    """What an attack may change of recordings, and what it changed."""
    return {
        "budget": attack.budget,
        "events": {s: ledger.mean("events", **own[s]) if s in own else None for s in SIDES},
    }


def _curve(
    config: AuditConfig, curve: Curve, radius_at: Callable[[int], float]
) -> list[dict[str, Any]]:
    return [
        {
            "level": level,
            "epsilon": radius_at(level),
            "n": len(curve[SIDES[0]][level]),
            **{side: _share(config, curve[side][level]) for side in SIDES},
        }
        for level in config.curve
    ]
