"""Plots as inline SVG that takes its colours from the page, so that it follows light and dark."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from ..ledger import SIDES
from ..wording import layer_names

# Colours that matplotlib draws with and the page replaces by its own.
INK, FAINT = "#010101", "#020202"
SIDE_COLOURS = {"float": "#030303", "hardware": "#040404"}
VARIABLES = {
    INK: "currentColor",
    FAINT: "var(--rule)",
    SIDE_COLOURS["float"]: "var(--float)",
    SIDE_COLOURS["hardware"]: "var(--chip)",
}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "spikeproof",
    "font.family": "sans-serif",
    "font.size": 13,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "legend.frameon": False,
}
NAMES = {"float": "float network", "hardware": "simulated chip"}
MARKERS = {"float": "o", "hardware": "s"}
BAR = 0.38
DROPPED = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>|<style.*?</style>", re.S)


UNITS = {
    "linf": "levels of 255",
    "l2": "radius of the l2 ball",
    "l1": "radius of the l1 ball",
    "l0": "pixels",
}
"""Of the axis, by norm. Other balls than those of linf are the smallest that hold such levels."""


def _tick(found: Mapping[str, Any], audit: Mapping[str, Any]) -> str:
    return str(found["level"]) if audit["norm"] == "linf" else f"{found['epsilon']:.3g}"


def _level_of(epsilon: float, curve: Sequence[Mapping[str, Any]]) -> float:
    """Where an epsilon lies on the axis of levels, to which it is proportional."""
    last = curve[-1]
    return epsilon * last["level"] / last["epsilon"] if last["epsilon"] else epsilon * 255


def curve_plot(audit: Mapping[str, Any]) -> str:
    """Accuracy against epsilon of both models, with intervals; the audit's own epsilon is marked.

    Args:
        audit: An audit.json.
    """
    curve, unit = audit["curve"], UNITS[audit["norm"]]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 4.2), layout="constrained")
        axes = figure.add_subplot()
        levels = [point["level"] for point in curve]
        for side in SIDES:
            _draw_curve(axes, levels, [point[side] for point in curve], side)
        axes.axvline(_level_of(audit["epsilon"], curve), color=INK, linestyle=":", linewidth=1)
        # Levels double from point to point, and 0 is one of them.
        axes.set_xscale("symlog", base=2, linthresh=1, linscale=0.7)
        axes.xaxis.set_major_locator(FixedLocator(levels))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FixedFormatter([_tick(point, audit) for point in curve]))
        axes.set(xlabel=f"ε, {unit}", ylabel="accuracy, %", ylim=(-3, 103))
        axes.set_xlim(-0.4, 320)
        axes.grid(axis="y", linewidth=0.7)
        axes.legend(loc="upper right")
        label = "Line plot of accuracy against epsilon; the numbers are in the table below it."
        return _inline(figure, name="curve", label=label)


def rate_plot(rates: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Spike rates of both models, layer by layer.

    Args:
        rates: `rates` of an audit.json.
    """
    layers = layer_names(rates)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 1.2 + 0.5 * len(layers)), layout="constrained")
        axes = figure.add_subplot()
        for offset, side in zip((-BAR / 2, BAR / 2), SIDES, strict=True):
            of_side = {row["layer"]: row["rate"] for row in rates[side]}
            heights = [index + offset for index, layer in enumerate(layers) if layer in of_side]
            widths = [of_side[layer] for layer in layers if layer in of_side]
            axes.barh(heights, widths, height=BAR, color=SIDE_COLOURS[side], label=NAMES[side])
        axes.set_yticks(range(len(layers)), layers)
        axes.invert_yaxis()
        axes.set(xlabel="spikes a neuron and step")
        axes.grid(axis="x", linewidth=0.7)
        axes.set_axisbelow(True)
        figure.legend(loc="outside upper right", ncols=len(SIDES))
        label = "Bar plot of spike rates by layer; the numbers are in the table below it."
        return _inline(figure, name="rates", label=label)


def _draw_curve(
    axes: Axes, levels: Sequence[int], shares: Sequence[Mapping[str, float]], side: str
) -> None:
    colour = SIDE_COLOURS[side]
    value, low, high = ([100 * s[key] for s in shares] for key in ("value", "low", "high"))
    axes.fill_between(levels, low, high, color=colour, alpha=0.18, linewidth=0)
    style = "-" if side == SIDES[0] else "--"
    axes.plot(levels, value, color=colour, marker=MARKERS[side], linestyle=style, label=NAMES[side])


def _inline(figure: Figure, *, name: str, label: str) -> str:
    """An `<svg>` element for a page: no header, no metadata, ids of its own, the page's colours."""
    stream = io.StringIO()
    FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None})
    svg = DROPPED.sub("", stream.getvalue()).strip()
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, variable)
    figure.clear()
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
