"""The bytes of an event file, bounded before they are read, and cut into whole records."""

from pathlib import Path

from ..core.errors import DataError, FormatError
from .bounded import reading
from .events import MAX_EVENTS

MAX_HEADER = 2**20
"""Longest text before the first event."""
CUT_OFF = "bytes behind the last whole record"
"""What is counted of a truncated file that is mended."""


def read_bytes(path: Path, *, record: int) -> bytes:
    """A whole file that holds at most `MAX_EVENTS` records of `record` bytes behind its header.

    Raises:
        FormatError: If it is longer.
        DataError: If it is absent or cannot be read.
    """
    limit = MAX_EVENTS * record + MAX_HEADER
    with reading(path):
        size = path.stat().st_size
        if size > limit:
            raise FormatError(
                f"expected at most {MAX_EVENTS} events in {path}, got {size} bytes; cut the "
                "recording into shorter ones"
            )
        content = path.read_bytes()
    if not content:
        raise DataError(f"expected events in {path}, got an empty file; copy it again")
    return content


def comment_lines(content: bytes, path: Path, *, sign: bytes = b"#") -> tuple[list[str], int]:
    """The lines that begin with `sign` at the start of a file, and where they end.

    Raises:
        FormatError: If such a line never ends.
    """
    lines, end = [], 0
    while content[end : end + 1] == sign:
        stop = content.find(b"\n", end, end + MAX_HEADER)
        if stop < 0:
            raise FormatError(
                f"expected header lines that end in {path}, got one of over {MAX_HEADER} bytes or "
                "a file that stops in it; copy it again"
            )
        lines.append(content[end:stop].decode("latin-1").rstrip("\r"))
        end = stop + 1
    return lines, end


def whole_records(size: int, *, record: int, path: Path, truncate: bool) -> tuple[int, int]:
    """How many records fill `size` bytes, and how many bytes are left over.

    Raises:
        FormatError: If some are left over, unless `truncate` leaves them out.
    """
    count, rest = divmod(size, record)
    if rest and not truncate:
        raise FormatError(
            f"expected records of {record} bytes in {path}, got {rest} bytes behind the last whole "
            "one; the file is truncated: copy it again, or repair the recording to leave them out"
        )
    return count, rest
