"""The verdict in plain words: what was measured, how sure it is, and what it is about."""

from collections.abc import Mapping
from typing import Any

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


def percent(interval: Mapping[str, float]) -> str:
    """`61.5 % (54.6 to 68.0)`."""
    value, low, high = (100 * interval[key] for key in ("value", "low", "high"))
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"


def epsilon_text(epsilon: float) -> str:
    """`8/255`, or the plain number off the lattice."""
    levels = epsilon * 255
    return f"{round(levels)}/255" if abs(levels - round(levels)) < 1e-6 else f"{epsilon:.4g}"


def _setting(audit: Mapping[str, Any]) -> str:
    robust, clean = audit["robust"], audit["clean"]
    ball = f"±{epsilon_text(audit['epsilon'])} a pixel"
    return (
        f"On {audit['n']} test images under white-box attacks within {ball}, the float network "
        f"keeps {percent(robust['float_on_float'])} right and the simulated chip "
        f"({audit['matches']}, not silicon) "
        f"{percent(robust['hardware_on_hardware'])}; without an attack they get "
        f"{percent(clean['float'])} and {percent(clean['hardware'])}."
    )


def _change(audit: Mapping[str, Any]) -> str:
    change, p = audit["difference"], audit["mcnemar"]["p"]
    sure = f"{_signed(change['low'])} to {_signed(change['high'])}, McNemar's exact p = {p:.2g}"
    points = f"{_signed(change['value'])} points ({sure})"
    if change["high"] < 0:
        return f"Deployment costs robustness: the chip changes it by {points}."
    if change["low"] > 0:
        return f"The chip is the more robust of the two: it changes robust accuracy by {points}."
    return (
        f"No change is shown: the chip changes robust accuracy by {points}; "
        f"a loss of up to {abs(min(change['low'], 0.0)):.1f} points is not excluded."
    )


def _survival(audit: Mapping[str, Any]) -> str:
    found = audit["survival"]
    if found["value"] is None:
        return f"No survival ratio is given: {found['reason']}."
    return f"The chip keeps {percent(found)} of the float network's robust accuracy."


def _alarms(audit: Mapping[str, Any]) -> str:
    found = raised(audit)
    if found:
        names = "; ".join(f"{_words(a['name'])} on the {_side(a['model'])}" for a in found)
        count = "1 alarm" if len(found) == 1 else f"{len(found)} alarms"
        return f"Do not trust these numbers yet: {count} of false robustness raised ({names})."
    silent = sum(alarm["raised"] is None for alarm in audit["alarms"])
    missing = f"; {silent} of {len(audit['alarms'])} could not be measured" if silent else ""
    return f"No alarm of false robustness was raised{missing}."


def _signed(points: float) -> str:
    return f"{points:+.1f}".replace("-", "−")


def _words(name: str) -> str:
    return name.replace("_", " ")


def _side(model: str) -> str:
    return {"float": "float network", "hardware": "chip"}[model]
