"""How every `spikeproof analyse` command ends: numbers in JSON, a figure, a line a row."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import show

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Count = Annotated[int, typer.Option("--samples", help="First N test images.", min=1)]
Format = Annotated[str, typer.Option("--format", help="Of the figure: svg or png.")]


def finish(
    out: Path,
    name: str,
    numbers: Mapping[str, Any],
    figure: "Figure",
    rows: Mapping[str, Mapping[str, Any]],
    seed: int,
    figure_format: str,
    as_json: bool,
) -> None:
    """Writes numbers and figure, and prints a line a row."""
    from ..analysis.results import write_results

    table, picture = write_results(
        out, name, numbers, figure, seed=seed, figure_format=figure_format
    )
    lines = [f"{label:24} " + "  ".join(_cells(row)) for label, row in rows.items()]
    found = {"json": str(table), "figure": str(picture), "rows": rows}
    show(found, as_json=as_json, lines=[f"wrote {table} and {picture}", *lines])


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [f"{key} {v:.4g}" if isinstance(v, float) else f"{key} {v}" for key, v in row.items()]
