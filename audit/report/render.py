"""From audit.json to a page: checks it, writes the numbers, fills the template."""

from collections.abc import Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined

from .. import wording
from ..ledger import CELLS, SIDES, cell_name
from ..schema import check
from ..verdict import raised, sentences
from .plots import NAMES, curve_plot, rate_plot

TEMPLATE = "page.html.j2"
STYLE = "page.css"
STAGES = {
    "float": "float network, 8-bit images",
    "fold": "batch norm and pools folded",
    "weights": "weights rounded",
    "thresholds": "thresholds, biases and decays rounded",
    "hardware": "simulated chip",
}
"""What the stages of the waterfall are called."""


def render(audit: Mapping[str, Any]) -> str:
    """A page of HTML that asks nothing of the network.

    Args:
        audit: The content of an audit.json.

    Raises:
        FormatError: If it is not one, or of another version.
    """
    audit = check(audit)
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        percent=wording.percent,
        bounds=wording.bounds,
        points=wording.points,
        kind=wording.kind,
        plain=wording.plain,
        words=wording.words,
        epsilon=wording.epsilon_text,
        ball=wording.ball,
        point=wording.point,
    )
    page = environment.from_string(_part(TEMPLATE))
    return page.render(
        audit=audit,
        style=_part(STYLE),
        subject=_subject(audit["context"]),
        verdict=sentences(audit),
        sides=SIDES,
        cells=[cell_name(*cell) for cell in CELLS],
        names=NAMES,
        stages=STAGES,
        raised=raised(audit),
        alarms=_by_name(audit["alarms"]),
        curve=curve_plot(audit),
        rates=rate_plot(audit["rates"]) if any(audit["rates"].values()) else None,
        layers=_layers(audit["rates"]),
        setup=_setup(audit),
        context=wording.flat(audit["context"]),
    )


def _subject(context: Mapping[str, Any]) -> str:
    """`digits-conv, srstar, on digits, and its chip`: what is audited, as far as it is known."""
    known = [str(context[key]) for key in ("architecture", "method") if key in context]
    known += [f"on {context['data']}"] if "data" in context else []
    return f"{', '.join(known) or 'A float network'}, and its chip"


def _by_name(alarms: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Alarms of one name together: they mean the same for both models."""
    names = dict.fromkeys(alarm["name"] for alarm in alarms)
    return [[alarm for alarm in alarms if alarm["name"] == name] for name in names]


def _layers(rates: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a layer; a model that does not have it is left null."""
    of_side = {side: {row["layer"]: row["rate"] for row in rates[side]} for side in SIDES}
    return [
        {"layer": name, **{side: of_side[side].get(name) for side in SIDES}}
        for name in wording.layer_names(rates)
    ]


def _setup(audit: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the numbers depend on."""
    keys = (
        "matches",
        "n",
        "epsilon",
        "epsilon_requested",
        "norm",
        "lattice",
        "suite",
        "rule",
        "restarts",
        "passes",
        "pursued_with",
        "seed",
        "confidence",
        "batch_size",
        "device",
        "targets",
        "ties",
        "curve_attack",
        "methods",
        "fingerprint",
    )
    return [row for key in keys for row in wording.flat(audit[key], wording.words(key))]


def _part(name: str) -> str:
    return resources.files(__name__.rpartition(".")[0]).joinpath(name).read_text(encoding="utf-8")
