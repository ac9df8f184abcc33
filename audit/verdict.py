"""The verdict in plain words: what was measured, how sure it is, and what it is about."""

from collections.abc import Mapping
from typing import Any

from .wording import ball, estimate, kind, points, words

MATCHES = "Lava fixed-point model"


def verdict(audit: Mapping[str, Any]) -> str:
    """What the numbers say, with intervals, in one paragraph.

    Args:
        audit: The content of an audit.json.
    """
    return " ".join(sentences(audit))


def sentences(audit: Mapping[str, Any]) -> tuple[str, ...]:
    """The verdict piece by piece; raised alarms come first, since they put the rest in doubt."""
    numbers = (_setting(audit), _change(audit), _survival(audit))
    alarms = (_alarms(audit),)
    return (*alarms, *numbers) if raised(audit) else (*numbers, *alarms)


def raised(audit: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The alarms of false robustness that were raised."""
    return [alarm for alarm in audit["alarms"] if alarm["raised"]]


def _setting(audit: Mapping[str, Any]) -> str:
    robust, clean = audit["robust"], audit["clean"]
    within = ball(audit)
    if any(attack.get("budget") for attack in audit["attacks"]):
        within += " and by budgets of events"
    return (
        f"On {audit['n']} test {kind(audit)} under white-box attacks within {within}, the float "
        f"network keeps {estimate(robust['float_on_float'])} right and the simulated chip "
        f"({audit['matches']}, not silicon) "
        f"{estimate(robust['hardware_on_hardware'])}; without an attack they get "
        f"{estimate(clean['float'])} and {estimate(clean['hardware'])}."
    )


def _change(audit: Mapping[str, Any]) -> str:
    change, p = audit["difference"], audit["mcnemar"]["p"]
    sure = f"{points(change['low'])} to {points(change['high'])}, McNemar's exact p = {p:.2g}"
    by = f"{points(change['value'])} points ({sure})"
    if change["high"] < 0:
        return f"Deployment costs robustness: the chip changes it by {by}."
    if change["low"] > 0:
        return f"The chip is the more robust of the two: it changes robust accuracy by {by}."
    return (
        f"No change is shown: the chip changes robust accuracy by {by}; "
        f"a loss of up to {abs(min(change['low'], 0.0)):.1f} points is not excluded."
    )


def _survival(audit: Mapping[str, Any]) -> str:
    found = audit["survival"]
    if found["value"] is None:
        return f"No survival ratio is given: {found['reason']}."
    return f"The chip keeps {estimate(found)} of the float network's robust accuracy."


def _alarms(audit: Mapping[str, Any]) -> str:
    found = raised(audit)
    if found:
        names = "; ".join(f"{words(a['name'])} on the {_side(a['model'])}" for a in found)
        count = "1 alarm" if len(found) == 1 else f"{len(found)} alarms"
        return f"Do not trust these numbers yet: {count} of false robustness raised ({names})."
    silent = sum(alarm["raised"] is None for alarm in audit["alarms"])
    missing = f"; {silent} of {len(audit['alarms'])} could not be measured" if silent else ""
    return f"No alarm of false robustness was raised{missing}."


def _side(model: str) -> str:
    return {"float": "float network", "hardware": "chip"}[model]
