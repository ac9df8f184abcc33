"""What an analysis leaves behind: numbers in JSON and a figure, each whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from ..core.errors import ConfigError
from ..core.files import atomic_path, write_json
from ..core.record import versions

CANVASES: dict[str, Any] = {"svg": FigureCanvasSVG, "png": FigureCanvasAgg}
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "spikeproof",
    "svg.fonttype": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.dpi": 150,
}


def check_format(name: str) -> None:
    """Refuses a figure format that cannot be written.

    Raises:
        ConfigError: Naming those that can.
    """
    if name not in CANVASES:
        raise ConfigError(f"expected a figure as {' or '.join(CANVASES)}, got {name!r}; choose one")


def write_results(
    folder: Path,
    name: str,
    numbers: Mapping[str, Any],
    figure: Figure,
    *,
    seed: int,
    figure_format: str = "svg",
) -> tuple[Path, Path]:
    """Writes `<name>.json`, with versions and seed, and `<name>.svg` or `.png`.

    Returns:
        The paths of the two.

    Raises:
        ConfigError: If the format is unknown, or the folder cannot be written to.
    """
    check_format(figure_format)
    picture, table = folder / f"{name}.{figure_format}", folder / f"{name}.json"
    with atomic_path(picture) as temporary, mpl.rc_context(STYLE):
        canvas = CANVASES[figure_format](figure)
        # Dates and the like would make equal results differ.
        unsaid = {"svg": {"Date": None}, "png": {"Software": None}}[figure_format]
        getattr(canvas, f"print_{figure_format}")(str(temporary), metadata=unsaid)
    write_json(table, {**numbers, "versions": versions(), "seed": seed})
    return table, picture
