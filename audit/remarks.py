"""What a reader of an audit should know that is no alarm: oddities of data and of networks."""

from collections.abc import Mapping
from itertools import chain
from typing import Any

from ..attacks.suite import suite_named
from .config import AuditConfig
from .ledger import SIDES
from .wording import left_out_text, percent

TRAINED_ON = "training_data_sha256"
"""Key of the context: hash of the data that the network was trained with, where it is known."""

FRAMES = "frames"
"""Key of the context: how recordings became frames, where the samples are recordings."""

SIMULATED = "simulated"
"""Key of the context: there, and true, where no camera made the recordings."""

PICTURES = "pictures"
"""Key of the context: the share of the frames that show pictures, where any does."""

FULL = "full_cells"
"""Key of the context: of the cells with events, the share at the cap, where samples are frames."""

LEFT_OUT = "left_out"
"""Key of the context: by kind, what reading recordings left out or mended, where it did."""

FINETUNING = "finetuning"
"""Key of the context: what was learnt on the chip, where it was fine-tuned."""

UNEVEN = (
    "Attacks on events leave unequal numbers in the bins, which no recording has where each holds "
    "equally many: they may break what no recording breaks."
)

CALLED = {"float": "float network", "hardware": "chip"}


def remarks(context: Mapping[str, Any], rates: Mapping[str, Any]) -> list[str]:
    """One sentence each.

    Args:
        context: What the audit knows of network and data.
        rates: Spike rates of each model on clean images, layer by layer.
    """
    silent = (said for side in SIDES for said in _silent(side, rates[side]))
    known = (_simulated, _frames, _full, _incomplete, _foreign, _finetuned)
    return [*chain.from_iterable(found(context) for found in known), *silent]


def _simulated(context: Mapping[str, Any]) -> list[str]:
    if not context.get(SIMULATED):
        return []
    return [
        f"The recordings of {context['data']} are simulated: a model of a camera made them, and "
        "numbers on them say nothing of the real data set."
    ]


def left_out(config: AuditConfig) -> list[str]:
    """Attacks of the suite that do not search the balls of the norm, in one sentence."""
    names = suite_named(config.suite).without(config.norm)
    if not names:
        return []
    return [
        f"Left out, because they search no {config.norm} balls: {', '.join(names)}. What is left "
        f"is weaker than the suite {config.suite} is in linf."
    ]


def uneven(context: Mapping[str, Any], config: AuditConfig) -> list[str]:
    """What attacks on events make of bins that hold equally many, in one sentence."""
    counts_events = context.get(FRAMES, {}).get("binning") == "count"
    return [UNEVEN] if counts_events and config.attacks.needs_frames else []


def _frames(context: Mapping[str, Any]) -> list[str]:
    found = context.get(FRAMES)
    if found is None:
        return []
    size = "" if found["size"] is None else " of {}x{} cells".format(*found["size"])
    if context.get(PICTURES) == 1:
        return [_pictured("The samples are", f"{found['steps']} frames{size}")]
    how = "equal time" if found["binning"] == "time" else "equally many events"
    one = f"{found['unit']} of 255 levels"
    return [
        f"The samples are recordings of an event camera as {found['steps']} frames{size}, bins of "
        f"{how}: an event adds {one} to its cell, up to {found['cap']}, so that a level is "
        f"{1 / found['unit']:.4g} of an event.",
        *([_pictured("Half of them are", "such frames")] if context.get(PICTURES) else []),
    ]


def _pictured(which: str, frames: str) -> str:
    return (
        f"{which} pictures, shown as {frames}: the grey level of 255 in every step and both "
        "polarities, without any event."
    )


def _full(context: Mapping[str, Any]) -> list[str]:
    share = context.get(FULL)
    if not share:
        return []
    return [
        f"Of the cells with events, {percent(share)} are at the cap and stand for as many events "
        "or more: attacks count the fewest, and a recording may need more changes than they say."
    ]


def _incomplete(context: Mapping[str, Any]) -> list[str]:
    counts = context.get(LEFT_OUT)
    return [f"Reading the recordings {left_out_text(counts)}."] if counts else []


def _foreign(context: Mapping[str, Any]) -> list[str]:
    trained, audited = context.get(TRAINED_ON), context.get("data_sha256")
    if trained is None or audited is None or trained == audited:
        return []
    name = context.get("data", "this data set")
    return [
        f"The network was trained with other data than {name}: a low accuracy may be that of a "
        "foreign task, and test images may have been seen in training."
    ]


def _finetuned(context: Mapping[str, Any]) -> list[str]:
    learnt = context.get(FINETUNING)
    if learnt is None:
        return []
    return [
        f"The chip was trained {learnt['epochs']} epochs further, the float network was not: what "
        "the chip gains over it may be the training's; compare with a float network trained as "
        "long (train --init)."
    ]


def _silent(side: str, rates: list[Mapping[str, Any]]) -> list[str]:
    layers = [row["layer"] for row in rates if row["rate"] == 0]
    if not layers:
        return []
    return [
        f"No neuron of {', '.join(layers)} on the {CALLED[side]} fires on any clean image: what "
        "follows such a layer sees no image."
    ]
