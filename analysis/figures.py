"""The figures of an analysis, without pyplot's global state."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .methods import COLUMNS
from .results import STYLE
from .vulnerability import LOWEST

NORMS = {"l1": "‖∇f‖₁", "l2": "‖∇f‖₂", "l0": "‖∇f‖₀"}
BINS = 40


def norms_figure(found: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """One histogram a norm, one line a network.

    Args:
        found: By network, by norm, a number a sample.
    """
    figure, panels = _panels(len(NORMS))
    for axes, (norm, label) in zip(panels, NORMS.items(), strict=True):
        values = {name: np.asarray(rows[norm], dtype=float) for name, rows in found.items()}
        top = max(float(v.max()) for v in values.values()) or 1.0
        for name, numbers in values.items():
            axes.hist(numbers, bins=BINS, range=(0.0, top), histtype="step", label=_plain(name))
        axes.set(xlabel=label, ylabel="samples")
    panels[0].legend()
    return figure


def ratio_figure(found: Mapping[str, Mapping[str, Any]]) -> Figure:
    """ρ_adv/ρ_rand of each sample against that of a linear f, with the bounds of Theorem 4.3."""
    figure, (axes,) = _panels(1)
    highest = LOWEST
    for name, rows in found.items():
        pairs = zip(rows["first_order_ratio"], rows["ratio"], strict=True)
        shown = [(x, y) for x, y in pairs if x is not None and y]
        highest = max([highest, *(LOWEST * count for count in rows["l0"])])
        axes.plot([x for x, _ in shown], [y for _, y in shown], ".", label=_plain(name))
    axes.plot([LOWEST, highest], [LOWEST, highest], "k--", linewidth=1, label="linear f")
    axes.axhline(LOWEST, color="k", linestyle=":", linewidth=1, label="3")
    axes.axhline(highest, color="k", linestyle="-.", linewidth=1, label="largest 3·‖∇f‖₀")
    axes.set(xlabel="3·‖∇f‖₁² / ‖∇f‖₂²", ylabel="ρ_adv / ρ_rand", xscale="log", yscale="log")
    axes.legend()
    return figure


def density_figure(
    edges: Float[np.ndarray, " edges"], densities: Mapping[str, Sequence[float]]
) -> Figure:
    """How the components of the gradient are distributed (Liu et al. 2024, Fig. 4)."""
    figure, (axes,) = _panels(1)
    for name, density in densities.items():
        axes.stairs(np.asarray(density), edges, label=_plain(name))
    axes.set(xlabel="component of ∇f", ylabel="density", yscale="log")
    axes.legend()
    return figure


def heatmap_figure(
    images: Float[np.ndarray, "N H W C"], maps: Mapping[str, Float[np.ndarray, "N H W"]]
) -> Figure:
    """Images in the first row, |∇f| of each network below (Liu et al. 2024, Fig. 5).

    A column has one scale, so that networks can be compared on it.
    """
    rows, columns = 1 + len(maps), len(images)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.3 * columns + 1, 1.3 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
    for column, image in enumerate(images):
        grid[0, column].imshow(image.squeeze(), cmap="gray", vmin=0, vmax=1)
        highest = max(float(values[column].max()) for values in maps.values()) or 1.0
        for row, values in enumerate(maps.values(), start=1):
            grid[row, column].imshow(values[column], cmap="magma", vmin=0, vmax=highest)
    for axes, label in zip(grid[:, 0], ["image", *maps], strict=True):
        axes.set_ylabel(_plain(label))
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    return figure


def sweep_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Accuracies and gradient norms against λ (Liu et al. 2024, Figs. 3 and 6)."""
    figure, panels = _panels(2)
    weights = [row["penalty_weight"] for row in rows]
    for key, label in (("accuracy", "clean"), ("robust_accuracy", "under PGD")):
        panels[0].plot(weights, [100 * row[key] for row in rows], "o-", label=label)
    panels[0].set(xlabel="λ", ylabel="accuracy, %", ylim=(-3, 103))
    for key in ("l1", "l2"):
        panels[1].plot(weights, [row[key] for row in rows], "o-", label=NORMS[key])
    panels[1].set(xlabel="λ", ylabel="mean over samples", yscale="symlog")
    for axes in panels:
        axes.legend()
    return figure


def cost_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Seconds an epoch of each method (Liu et al. 2024, Table 7)."""
    figure, (axes,) = _panels(1)
    names = [row["method"] for row in rows]
    bars = axes.barh(names, [row["seconds_per_epoch"] for row in rows])
    axes.bar_label(bars, [f"×{row['relative']:.1f}" for row in rows], padding=3)
    axes.invert_yaxis()
    axes.set(xlabel="seconds an epoch")
    return figure


def methods_figure(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = COLUMNS) -> Figure:
    """Shares of right answers of each method, a bar a column of the table, a dot a seed."""
    figure, (axes,) = _panels(1)
    names = list(dict.fromkeys(row["name"] for row in rows))
    width = 0.8 / len(columns)
    for place, column in enumerate(columns):
        for at, name in enumerate(names):
            shares = [100 * row[column] / row["samples"] for row in rows if row["name"] == name]
            x, label = at + (place - (len(columns) - 1) / 2) * width, column if at == 0 else None
            axes.bar(x, sum(shares) / len(shares), width, color=f"C{place}", label=label)
            axes.plot([x] * len(shares), shares, "k.", markersize=3)
    axes.set_xticks(range(len(names)), [_plain(name) for name in names], rotation=15)
    axes.set(ylabel="accuracy, %", ylim=(0, 103))
    axes.legend()
    return figure


def _plain(name: str) -> str:
    """A name as it is written, none of it taken for a formula."""
    return name.replace("$", r"\$")


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.4 * count + 0.8, 3.6), layout="constrained")
        return figure, list(figure.subplots(1, count, squeeze=False)[0])
