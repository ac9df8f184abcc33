"""The plots of reproductions: the paper's points beside ours, or curves."""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..analysis.results import STYLE
from .results import Cell, Result

LOOKS = {"paper": ("k_", 14), "float": ("C0o", 5), "chip": ("C1x", 6)}
"""Marker and size of whose number it is."""
WIDTH, COLUMN = 7.2, 1.2
"""Of a figure, and of a column of a table in it, in inches."""
TITLE_PAD = 30
"""Points above the axes: two lines of column names."""


def beside(result: Result) -> Figure:
    """A panel a block and unit: the columns in groups, in each a place a row, three marks."""
    units = dict.fromkeys((cell.block, cell.found.unit) for cell in result.cells)
    columns = dict.fromkeys(cell.found.column for cell in result.cells)
    figure, panels = _panels(len(units), width=max(WIDTH, COLUMN * len(columns)))
    for axes, (block, unit) in zip(panels, units, strict=True):
        own = [cell for cell in result.cells if (cell.block, cell.found.unit) == (block, unit)]
        _groups(axes, own)
        axes.set(ylabel=unit, yscale="linear" if unit else "log")
        axes.set_title(block, pad=TITLE_PAD)
    panels[0].legend(handlelength=1)
    return figure


def curves(result: Result) -> Figure:
    """A panel a unit: every column over the rows, float and chip, and the paper's points."""
    units = dict.fromkeys(cell.found.unit for cell in result.cells)
    figure, panels = _panels(len(units))
    for axes, unit in zip(panels, units, strict=True):
        own = [cell for cell in result.cells if cell.found.unit == unit]
        _lines(axes, own)
        axes.set(ylabel=unit or "mean over samples")
        axes.legend(fontsize="x-small")
    return figure


def _groups(axes: Axes, cells: Sequence[Cell]) -> None:
    rows = list(dict.fromkeys(cell.found.row for cell in cells))
    columns = list(dict.fromkeys(cell.found.column for cell in cells))
    step = len(rows) + 1
    for name, (look, size) in LOOKS.items():
        places, values = [], []
        for cell in cells:
            value = _of(cell, name)
            if value is not None:
                place = columns.index(cell.found.column) * step + rows.index(cell.found.row)
                places.append(place)
                values.append(value)
        axes.plot(places, values, look, markersize=size, label=name)
    ticks = [(k * step + at, row) for k in range(len(columns)) for at, row in enumerate(rows)]
    axes.set_xticks([place for place, _ in ticks], [row for _, row in ticks], rotation=90)
    for number, column in enumerate(columns):
        middle = number * step + (len(rows) - 1) / 2
        said = column.replace(", ", "\n").replace("of a linear f", "of a\nlinear f")
        where = axes.get_xaxis_transform()
        axes.text(middle, 1.01, said, transform=where, ha="center", va="bottom", fontsize="small")


def _lines(axes: Axes, cells: Sequence[Cell]) -> None:
    rows = list(dict.fromkeys(cell.found.row for cell in cells))
    for number, column in enumerate(dict.fromkeys(cell.found.column for cell in cells)):
        own = [cell for cell in cells if cell.found.column == column]
        for name, look in (("float", "o-"), ("chip", "x--"), ("paper", "_")):
            found = [(rows.index(c.found.row), _of(c, name)) for c in own]
            shown = [(place, value) for place, value in found if value is not None]
            if shown:
                x, y = zip(*shown, strict=True)
                axes.plot(x, y, look, color=f"C{number}", markersize=5, label=f"{column}, {name}")
    axes.set_xticks(range(len(rows)), rows, rotation=45)


def _of(cell: Cell, name: str) -> float | None:
    if name == "paper":
        return cell.paper
    number = cell.found.on_float if name == "float" else cell.found.on_chip
    return None if number is None else number.value


def _panels(count: int, *, width: float = WIDTH) -> tuple[Figure, list[Axes]]:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, 3.6 * count), layout="constrained")
        return figure, list(figure.subplots(count, 1, squeeze=False)[:, 0])
