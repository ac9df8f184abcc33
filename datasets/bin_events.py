"""`.bin`: 40 bits an event, as N-MNIST and N-Caltech101 are published (Orchard et al. 2015)."""

from pathlib import Path

import numpy as np

from ..core.errors import ConfigError
from ..core.files import write_bytes
from .event_bytes import CUT_OFF, read_bytes, whole_records
from .events import Recording, make_events

RECORD = 5
OVERFLOW_ROW, OVERFLOW_TIME = 240, 2**13
"""A record in this row is no event: every later one is so many microseconds later."""


def read_bin(path: Path, *, height: int, width: int, truncate: bool = False) -> Recording:
    """Reads big-endian records of x (8 bits), y (8), polarity (1, ON is 1) and time (23).

    Args:
        path: The file.
        height: Rows of the sensor, which the file does not name.
        width: Its columns.
        truncate: Leave out an incomplete last record.

    Raises:
        FormatError: If the file ends within a record, or is too long.
        DataError: If it is absent or empty.
    """
    content = read_bytes(path, record=RECORD)
    count, rest = whole_records(len(content), record=RECORD, path=path, truncate=truncate)
    raw = np.frombuffer(content, np.uint8, count=count * RECORD).reshape(-1, RECORD)
    x, y, high, middle, low = raw.T.astype(np.int64)
    is_overflow = y == OVERFLOW_ROW
    t = (high & 127) << 16 | middle << 8 | low
    t += OVERFLOW_TIME * np.cumsum(is_overflow)
    kept = ~is_overflow
    left_out = {"time overflows": int(is_overflow.sum()), CUT_OFF: rest}
    return Recording(
        events=make_events(t[kept], x[kept], y[kept], high[kept] >> 7),
        height=height,
        width=width,
        source=str(path),
        left_out={name: n for name, n in left_out.items() if n},
    )


def write_bin(path: Path, recording: Recording) -> None:
    """Writes a recording of a sensor of up to 256x240 pixels, whole or not at all.

    Raises:
        ConfigError: If the sensor is larger, or a time does not fit 23 bits.
    """
    events = recording.events
    if recording.width > 256 or recording.height > OVERFLOW_ROW:
        raise ConfigError(
            f"expected a sensor of at most 256x{OVERFLOW_ROW} for {path}, got {recording.width}x"
            f"{recording.height}; write .aedat4 instead"
        )
    if (events["t"] < 0).any() or (events["t"] >= 2**23).any():
        raise ConfigError(
            f"expected times in 0..{2**23 - 1} us for {path}, got {events['t'].min()} to "
            f"{events['t'].max()}; shift or cut them"
        )
    raw = np.empty((len(events), RECORD), dtype=np.uint8)
    raw[:, 0], raw[:, 1] = events["x"], events["y"]
    raw[:, 2] = events["p"].astype(np.int64) << 7 | events["t"] >> 16
    raw[:, 3], raw[:, 4] = events["t"] >> 8 & 255, events["t"] & 255
    write_bytes(path, raw.tobytes())
