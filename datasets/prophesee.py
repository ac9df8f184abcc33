"""Prophesee's `.dat` and `.raw` (EVT 2 and 3), decoded by expelliarmus."""

from pathlib import Path

import numpy as np

from ..core.errors import FormatError
from .event_bytes import comment_lines, read_bytes
from .events import Recording, make_events
from .isolated import DECODER, require

FEWEST_BYTES = 2
"""Of an event: EVT 3 has words of 16 bits, and one of them can hold twelve events."""
COMMENT = b"%"


def read_prophesee(path: Path, *, height: int, width: int) -> Recording:
    """Reads a `.dat`, or a `.raw` whose header names EVT 2 or EVT 3.

    Args:
        path: The file.
        height: Rows of the sensor.
        width: Its columns.

    Raises:
        FormatError: If it is none of these, damaged or too long.
        DataError: If it is absent or empty.
        MissingAbilityError: If expelliarmus is not installed.
    """
    require("expelliarmus", "expelliarmus", for_what=f"{path.suffix} files")
    lines, _ = comment_lines(read_bytes(path, record=FEWEST_BYTES), path, sign=COMMENT)
    encoding = "dat" if path.suffix == ".dat" else _encoding(lines, path)
    found, _ = DECODER.decode(encoding, path)
    t, x, y, p = (found[name] for name in found.dtype.names or ())
    return Recording(
        events=make_events(t.astype(np.int64), x, y, p),
        height=height,
        width=width,
        source=str(path),
    )


def _encoding(lines: list[str], path: Path) -> str:
    for version in ("2", "3"):
        if any(f"evt {version}" in line.lower() or f"EVT{version}" in line for line in lines):
            return f"evt{version}"
    raise FormatError(
        f"expected a header with 'evt 2' or 'evt 3' in {path}, got {lines[:3]}; convert the file"
    )
