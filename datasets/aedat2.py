"""AEDAT 2.0 of the DVS128: the original CIFAR10-DVS, and what jAER records."""

from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt32

from ..core.errors import ConfigError, FormatError
from ..core.files import write_bytes
from .event_bytes import CUT_OFF, comment_lines, read_bytes, whole_records
from .events import MAX_EVENTS, Recording, make_events

VERSION = "#!AER-DAT2.0"
CHIP = "AEChip:"
RECORD = 8
SIZE = 128
PIXEL_BITS = 0x7FFF
"""One polarity bit and seven each for column and row; a higher bit marks no pixel's event."""
HEADER = (
    VERSION,
    "# Data format is int32 address, int32 timestamp (8 bytes total), repeated for each event",
    "# Timestamps tick: 1 us",
    f"# {CHIP} ch.unizh.ini.jaer.chip.retina.DVS128",
)


def read_aedat2(path: Path, *, truncate: bool = False) -> Recording:
    """Reads big-endian pairs of address and time in microseconds.

        address = row << 8 | column << 1 | (0 for ON, 1 for OFF)

    Addresses stay as they are: the picture is upright at 127 - x, 127 - y. A time counter that
    runs over at 2^32 is carried on.

    Args:
        path: The file.
        truncate: Leave out an incomplete last record.

    Raises:
        FormatError: If it is no AEDAT 2.0, of another sensor, ends within a record or is too long.
        DataError: If it is absent or empty.
    """
    content = read_bytes(path, record=RECORD)
    lines, start = comment_lines(content, path)
    if not lines or not lines[0].startswith(VERSION):
        found = lines[0] if lines else content[:12]
        raise FormatError(f"expected {VERSION!r} at the start of {path}, got {found!r}; convert it")
    chip = next((line.partition(CHIP)[2].strip() for line in lines if CHIP in line), "DVS128")
    if not chip.endswith("DVS128"):
        raise FormatError(
            f"expected a recording of a DVS128 in {path}, got one of {chip}; its addresses mean "
            "something else: convert it to .aedat4"
        )
    count, rest = whole_records(len(content) - start, record=RECORD, path=path, truncate=truncate)
    pairs = np.frombuffer(content, ">u4", count=2 * count, offset=start).astype(np.uint32)
    address, t = pairs[::2].copy(), _carried(pairs[1::2].copy())
    is_pixel = address <= PIXEL_BITS
    if not is_pixel.all():
        address, t = address[is_pixel], t[is_pixel]
    left_out = {"special events": int((~is_pixel).sum()), CUT_OFF: rest}
    return Recording(
        events=make_events(t, address >> 1 & 127, address >> 8, ~address & 1),
        height=SIZE,
        width=SIZE,
        source=str(path),
        left_out={name: n for name, n in left_out.items() if n},
    )


def write_aedat2(path: Path, recording: Recording, *, comment: str = "") -> None:
    """Writes a recording of a 128x128 sensor, whole or not at all.

    Args:
        path: Where.
        recording: Of a sensor of that size.
        comment: A line for the header, which readers pass over.

    Raises:
        ConfigError: If the sensor has another size, a time does not fit 32 bits, or there are more
            than `MAX_EVENTS` events.
    """
    events = recording.events
    if (recording.height, recording.width) != (SIZE, SIZE):
        raise ConfigError(
            f"expected a sensor of {SIZE}x{SIZE} for {path}, got {recording.width}x"
            f"{recording.height}; write .aedat4 instead"
        )
    if len(events) > MAX_EVENTS or (events["t"] < 0).any() or (events["t"] >= 2**32).any():
        raise ConfigError(
            f"expected at most {MAX_EVENTS} events with times in 0..{2**32 - 1} us for {path}, got "
            f"{len(events)} from {events['t'].min()} to {events['t'].max()}; shift or cut them"
        )
    pairs = np.empty((len(events), 2), dtype=">u4")
    x, y, p = (events[name].astype(np.uint32) for name in ("x", "y", "p"))
    pairs[:, 0] = y << 8 | x << 1 | (1 - p)
    pairs[:, 1] = events["t"]
    lines = (*HEADER, f"# {comment}") if comment else HEADER
    write_bytes(path, "".join(f"{line}\r\n" for line in lines).encode() + pairs.tobytes())


def _carried(t: UInt32[np.ndarray, " N"]) -> Int64[np.ndarray, " N"]:
    """Times whose counter ran over wherever it fell by more than half of its range."""
    whole = t.astype(np.int64)
    if len(t) > 1 and (t[1:] < t[:-1]).any():
        whole[1:] += np.cumsum(np.diff(whole) < -(2**31)) << 32
    return whole
