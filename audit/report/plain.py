"""An audit as plain text: Markdown for people, CSV for other programs."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .. import wording
from ..ledger import CELLS, SIDES, cell_name
from ..schema import check
from ..verdict import sentences
from .plots import NAMES

SPONGES, FAULTS = ("free", "same_answer"), ("bit_flips", "dropped_spikes")
SHOWN = ("clean", "adversarial")

COLUMNS = ("table", "row", "model", "value", "low", "high")
"""Of the CSV: one number a line, with its interval where it has one."""


def markdown(audit: Mapping[str, Any]) -> str:
    """The verdict, the matrix, black boxes, the curve, alarms and attacks as tables.

    Args:
        audit: The content of an audit.json.

    Raises:
        FormatError: If it is not one, or of another version.
    """
    audit = check(audit)
    parts = ["# Does robustness survive deployment?", *sentences(audit), *audit["remarks"]]
    heads = [f"on the {NAMES[side]}" for side in SIDES]
    parts += ["## Accuracy", _table(["", *heads], _accuracies(audit))]
    curve = (
        (wording.point(audit, point), *(wording.estimate(point[side]) for side in SIDES))
        for point in audit["curve"]
    )
    parts += ["## Accuracy against epsilon", f"{audit['curve_attack']}."]
    parts += [_table(["ε", *heads], curve), "## Alarms of false robustness"]
    parts += [_table(["alarm", "model", "state", "value", "threshold", "p"], _alarms(audit))]
    cells = [cell_name(*cell) for cell in CELLS]
    attacks = (
        (
            a["name"],
            wording.plain(a["estimator"]),
            *(wording.percent(a["accuracy"][c]) for c in cells),
        )
        for a in audit["attacks"]
    )
    names = [cell.replace("hardware", "chip").replace("_", " ") for cell in cells]
    parts += ["## Attacks", _table(["attack", "estimator", *names], attacks)]
    if "chip_only" in audit:
        parts += ["## What only a chip can be asked", *_chip_only(audit["chip_only"])]
    parts += ["## Setup"]
    parts += [_table(["what", "value"], wording.flat(_setup(audit)))]
    return "\n\n".join(parts) + "\n"


def comma_separated(audit: Mapping[str, Any]) -> str:
    """Every measured number on a line of its own, under `COLUMNS`; arguments as `markdown`."""
    audit = check(audit)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_numbers(audit))
    return stream.getvalue()


def _chip_only(found: Mapping[str, Any]) -> Iterator[str]:
    """Tables of registers, of sponges, and of each fault."""
    held = "held on all that was found" if found["certificate_holds"] else "DID NOT HOLD"
    yield (
        f"Of the first {found['n']} samples; {found['attack']} drives registers and work up. The "
        f"certificate {held}. Adversarial images were crafted on the sound chip: "
        f"{found['adversarial']}."
    )
    keys = ("population", "register", "clean", "reached", "bound", "margin", "overflows")
    registers = ([wording.plain(row[key]) for key in keys] for row in found["registers"])
    yield _table(keys, registers)
    heads = ("sponge", "synaptic operations, ratio", "largest", "answer changed")
    yield _table(heads, (_sponge(found["sponge"], name) for name in SPONGES))
    for fault in FAULTS:
        rows = (
            (wording.plain(r["rate"]), *(wording.estimate(r[key]) for key in SHOWN))
            for r in found[fault]
        )
        yield _table((f"chance of {wording.words(fault)}", *SHOWN), rows)


def _sponge(found: Mapping[str, Any], name: str) -> tuple[str, ...]:
    one = found[name]
    ratio, low, high = (wording.plain(one["synops_ratio"][key]) for key in ("value", "low", "high"))
    return (
        wording.words(name),
        f"{ratio} ({low} to {high})",
        wording.plain(one["largest_ratio"]),
        wording.percent(one["changed"]),
    )


def _chip_numbers(found: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Lines of the CSV."""
    for row in found["registers"]:
        name = f"{row['register']} of {row['population']}"
        yield "headroom", name, SIDES[1], row["margin"], None, None
    for name in SPONGES:
        ratio = found["sponge"][name]["synops_ratio"]
        yield "sponge", name, SIDES[1], ratio["value"], ratio["low"], ratio["high"]
    for fault in FAULTS:
        for row in found[fault]:
            for key in SHOWN:
                share = row[key]
                name = f"{row['rate']}, {key}"
                yield fault, name, SIDES[1], share["value"], share["low"], share["high"]


def _accuracies(audit: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for table, row, found in _shares(audit):
        if table != "curve":
            yield row, *(wording.estimate(found[s]) if s in found else wording.NONE for s in SIDES)


def _shares(audit: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Table, row, and intervals by model."""
    yield "clean", "without an attack", audit["clean"]
    for source in SIDES:
        cells = {side: audit["robust"][cell_name(source, side)] for side in SIDES}
        yield "robust", f"crafted on the {NAMES[source]}", cells
    if audit["robust_continuous_float"] is not None:
        yield "robust", "off the 8-bit lattice", {SIDES[0]: audit["robust_continuous_float"]}
    for box in audit["black_box"]:
        yield "black box", f"crafted on {box['source']}", box
    for stage in audit["waterfall"]:
        for key in ("same_points", "own_points"):
            row = f"{wording.words(stage['stage'])}, {wording.words(key)}"
            yield "waterfall", row, {SIDES[stage["stage"] == SIDES[1]]: stage[key]}
    for point in audit["curve"]:
        yield "curve", wording.point(audit, point), point


def _numbers(audit: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for table, row, found in _shares(audit):
        for side in SIDES:
            if side in found:
                share = found[side]
                yield table, row, side, share["value"], share["low"], share["high"]
    for key in ("difference", "survival"):
        found = audit[key]
        yield key, "white box", "hardware", found["value"], found["low"], found["high"]
    for alarm in audit["alarms"]:
        yield "alarm", alarm["name"], alarm["model"], alarm["value"], None, None
    for attack in audit["attacks"]:
        name = " ".join(filter(None, (attack["name"], attack["estimator"])))
        for cell, accuracy in attack["accuracy"].items():
            if accuracy is not None:
                yield "attack", name, cell, accuracy, None, None
    if "chip_only" in audit:
        yield from _chip_numbers(audit["chip_only"])


def _alarms(audit: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    states = {None: "not measured", True: "RAISED", False: "quiet"}
    for alarm in audit["alarms"]:
        numbers = (wording.plain(alarm[key]) for key in ("value", "threshold", "p"))
        yield wording.words(alarm["name"]), NAMES[alarm["model"]], states[alarm["raised"]], *numbers


def _setup(audit: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("matches", "n", "epsilon", "suite", "rule", "restarts", "seed", "passes", "context")
    return {key: audit[key] for key in keys}


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(_cell(text) for text in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
