"""How numbers are written for people: in the verdict, in tables and on the page."""

from collections.abc import Mapping, Sequence
from typing import Any

NONE = "–"
MINUS = "−"


def percent(value: float | None) -> str:
    """`61.5 %` of a share; a dash where there is none."""
    return NONE if value is None else f"{100 * value:.1f} %"


def bounds(interval: Mapping[str, float]) -> str:
    """`54.6 to 68.0 %` of an interval of shares."""
    return f"{100 * interval['low']:.1f} to {100 * interval['high']:.1f} %"


def estimate(interval: Mapping[str, float]) -> str:
    """`61.5 % (54.6 to 68.0)` of a share with its interval."""
    low, high = 100 * interval["low"], 100 * interval["high"]
    return f"{percent(interval['value'])} ({low:.1f} to {high:.1f})"


def left_out_text(counts: Mapping[str, int]) -> str:
    """`left out or mended 5 bytes behind the last whole record` of counts by kind."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    return f"left out or mended {kinds}"


def points(value: float) -> str:
    """`−4.5` of a difference in percentage points."""
    return f"{value:+.1f}".replace("-", MINUS)


def epsilon_text(epsilon: float) -> str:
    """`8/255`, or the plain number off the lattice."""
    levels = epsilon * 255
    return f"{round(levels)}/255" if abs(levels - round(levels)) < 1e-6 else f"{epsilon:.4g}"


def ball(audit: Mapping[str, Any]) -> str:
    """`±8/255 a pixel` of linf; `an l2 ball of radius 0.5` of other norms."""
    epsilon, norm = audit["epsilon"], audit["norm"]
    if norm == "linf":
        return f"±{epsilon_text(epsilon)} a {place(audit)}"
    if norm == "l0":
        # Of frames too: a pixel counts once, in whatever channels and steps it changes.
        return f"changes of at most {epsilon:.0f} pixel{'s' if epsilon != 1 else ''}"
    return f"an {norm} ball of radius {epsilon:.4g}"


def point(audit: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """Epsilon of a point of the curve: `8/255` of linf, a number of other norms."""
    return f"{found['level']}/255" if audit["norm"] == "linf" else f"{found['epsilon']:.4g}"


def kind(audit: Mapping[str, Any]) -> str:
    """What the samples are: images, recordings of events, or pictures as frames."""
    if audit["context"].get("pictures") == 1:
        return "pictures"
    return "recordings" if "frames" in audit["context"] else "images"


def place(audit: Mapping[str, Any]) -> str:
    """What an attack moves: a pixel, or a cell of a frame."""
    return "cell" if "frames" in audit["context"] else "pixel"


def plain(value: int | float | str | bool | None) -> str:
    """Four significant digits of a number, anything else as it is; a dash where there is none."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("-", MINUS, 1) if not isinstance(value, str) else text


def words(name: str) -> str:
    """`noise as strong as fgsm` of a key."""
    return name.replace("_", " ")


def layer_names(rates: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Layers of both models in the order of the one that has more; what only the other has, last.

    A chip has relay populations between the float network's layers.
    """
    names = [[row["layer"] for row in of_side] for of_side in rates.values()]
    return list(dict.fromkeys(name for row in sorted(names, key=len, reverse=True) for name in row))


def flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested JSON as rows of a table, `network.steps`; keys sorted, as files hold them."""
    if isinstance(value, Mapping):
        children = [
            (f"{prefix}.{key}" if prefix else str(key), value[key]) for key in sorted(value)
        ]
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        children = [(f"{prefix}[{index}]", item) for index, item in enumerate(value)]
    elif isinstance(value, list):
        return [(prefix, ", ".join(plain(item) for item in value))]
    else:
        return [(prefix, plain(value))]
    return [row for name, child in children for row in flat(child, name)]
