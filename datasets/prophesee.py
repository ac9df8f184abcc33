"""Prophesee's `.dat` and `.raw`: EVT 3 is decoded here, the others by expelliarmus."""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from ..core.errors import FormatError
from .event_bytes import CUT_OFF, comment_lines, read_bytes, whole_records
from .events import Recording, make_events
from .evt3 import decode_evt3
from .isolated import DECODER, require

FEWEST_BYTES = 2
"""Of an event: EVT 3 has words of 16 bits, and one of them can hold twelve events."""
COMMENT = b"%"
WORDS = {"dat": (2, 8), "evt2": (0, 4), "evt3": (0, 2)}
"""Bytes of a binary header, and of a word. An event may take several words of EVT 3."""
ENCODING = re.compile(r"\bevt ?(?P<major>[23])\.?(?P<minor>\d?)", re.IGNORECASE)
"""As in `evt 3.0` and `format EVT3;`; EVT 2.1 has other words."""


def read_prophesee(path: Path, *, height: int, width: int, truncate: bool = False) -> Recording:
    """Reads a `.dat`, or a `.raw` whose header names EVT 2 or EVT 3.

    Args:
        path: The file.
        height: Rows of the sensor.
        width: Its columns.
        truncate: Leave out an incomplete last word.

    Raises:
        FormatError: If it is none of these, damaged, ends within a word or is too long.
        DataError: If it is absent or empty.
        MissingAbilityError: If expelliarmus is not installed.
    """
    content = read_bytes(path, record=FEWEST_BYTES)
    lines, start = comment_lines(content, path, sign=COMMENT)
    encoding = "dat" if path.suffix.lower() == ".dat" else _encoding(lines, path)
    header, word = WORDS[encoding]
    size = max(0, len(content) - start - header)
    # The library leaves an incomplete word out without a sign.
    count, rest = whole_records(size, record=word, path=path, truncate=truncate)
    if encoding == "evt3":
        words = np.frombuffer(content, "<u2", count=count, offset=start).astype(np.uint16)
        events, left_out = decode_evt3(words, source=str(path))
    else:
        events, left_out = _by_library(encoding, path), {}
    return Recording(
        events=events,
        height=height,
        width=width,
        source=str(path),
        left_out=left_out | ({CUT_OFF: rest} if rest else {}),
    )


def _by_library(encoding: str, path: Path) -> Shaped[np.ndarray, " N"]:
    require("expelliarmus", "expelliarmus", for_what=f"{encoding} files")
    found, _ = DECODER.decode(encoding, path)
    assert found is not None, "expelliarmus answers with an array or an error"
    t, x, y, p = (found[name] for name in found.dtype.names or ())
    return make_events(t.astype(np.int64), x, y, p)


def _encoding(lines: list[str], path: Path) -> str:
    said = [found for line in lines if (found := ENCODING.search(line))]
    if said and (said[0]["minor"] or "0") == "0":
        return f"evt{said[0]['major']}"
    raise FormatError(
        f"expected a header with 'evt 2' or 'evt 3' in {path}, got {lines[:3]}; convert the file"
    )
