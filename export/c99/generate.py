"""The C99 files of a deployed network."""

import math
from collections.abc import Iterator

import jinja2
import numpy as np

from ...core.record import versions
from ...sim.program import Program
from .tables import as_map, tables

HEADER, SOURCE, MAIN = "network.h", "network.c", "main.c"
TEMPLATES = {HEADER: "network.h.j2", SOURCE: "network.c.j2", MAIN: "main.c.j2"}
A_LINE = 20
"""Numbers on a line of a table."""


def c99(program: Program) -> dict[str, str]:
    """The text of `network.h`, `network.c` and `main.c`, by name.

    `network.c` allocates nothing, computes no float and has all its sizes from the start; what it
    answers is the twin's `reading` in units of 64 (spikes: in spikes), to the last bit.

    Args:
        program: A deployed network.

    Raises:
        FormatError, UnsupportedNodeError, RangeError: As `tables`.
    """
    found = tables(program)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("spikeproof.export", "c99"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"numbers": numbers, "comment": _comment}
    stated = {
        "net": found,
        "version": versions()["spikeproof"],
        "input_map": as_map(found.source.shape),
        "sample_map": program.sample_map,
        "offset": np.array(found.encoding.offset or [0] * program.sample_map[0]),
        "sample_bytes": math.prod(program.sample_shape),
        "weight_type": f"{np.dtype(found.weight_type).name}_t",
        "largest": max(cells.population.size for cells in found.cells),
        "is_binary": not found.source.is_graded,
        "is_direct": found.encoding.kind == "direct",
    }
    return {name: environment.get_template(each).render(stated) for name, each in TEMPLATES.items()}


def sizes(program: Program) -> dict[str, int]:
    """Bytes of constants (without code) and of memory that is written (without the stack)."""
    found = tables(program)
    return {"constant_bytes": found.constant_bytes, "ram_bytes": found.ram_bytes}


def numbers(values: np.ndarray) -> str:
    """An array as the inside of a C initialiser."""
    return ",\n".join(_lines(values))


def _lines(values: np.ndarray) -> Iterator[str]:
    flat = values.reshape(-1)
    for start in range(0, len(flat), A_LINE):
        yield "    " + ", ".join(map(str, flat[start : start + A_LINE].tolist()))


def _comment(name: str) -> str:
    """A name that cannot end the comment that it stands in."""
    return name.replace("*/", "* /").replace("\n", " ")
