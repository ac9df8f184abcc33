"""`.npy` of events: what tonic's DVS128 Gesture is distributed as."""

from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from ..core.errors import DataError, FormatError
from ..core.files import atomic_path
from .bounded import reading
from .events import MAX_EVENTS, Recording, make_events
from .npz_file import read_array

FIELDS = ("x", "y", "p", "t")
MILLISECOND = 1000


def read_event_array(path: Path, *, height: int, width: int) -> Recording:
    """Reads numbers `[N, 4]` of column, row, polarity and time in milliseconds.

    Args:
        path: The file; pickled objects are never read.
        height: Rows of the sensor.
        width: Its columns.

    Raises:
        FormatError: If it is no `.npy`, damaged, or holds more than `MAX_EVENTS` rows.
        DataError: If it is absent, or holds something else.
    """
    with reading(path), path.open("rb") as stream:
        rows = read_array(stream, path.stat().st_size, str(path))
    if rows.ndim != 2 or rows.shape[1] != len(FIELDS) or rows.dtype.kind not in "iuf":
        raise DataError(
            f"expected numbers [N, 4] of {', '.join(FIELDS)} in {path}, got {rows.dtype} "
            f"{list(rows.shape)}; convert them"
        )
    if len(rows) > MAX_EVENTS:
        raise FormatError(f"expected at most {MAX_EVENTS} events in {path}, got {len(rows)}")
    values = np.array(rows, dtype=np.float64)
    values[:, 3] *= MILLISECOND
    lowest, limits = values.min(axis=0, initial=0), (2**16, 2**16, 2, 2**53)
    is_lawful = np.isfinite(values).all() and (lowest >= 0).all() and (values < limits).all()
    if not is_lawful or (values[:, :3] % 1).any():
        raise DataError(
            f"expected whole columns and rows in 0..65535, polarities 0 or 1, times from 0 on in "
            f"{path}, got up to {values.max(axis=0).tolist()} from {lowest.tolist()}; convert them"
        )
    x, y, p, t = values.astype(np.int64).T
    return Recording(events=make_events(t, x, y, p), height=height, width=width, source=str(path))


def write_event_array(path: Path, recording: Recording) -> None:
    """Writes what `read_event_array` reads, as tonic does, whole or not at all."""
    events = recording.events
    rows = np.stack([events[name].astype(np.float64) for name in FIELDS], axis=1)
    rows[:, 3] = milliseconds(events["t"])
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, rows, allow_pickle=False)


def milliseconds(t: Int64[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    """Times that give back the microseconds when they are multiplied and cut, as readers do."""
    times = t / MILLISECOND
    return np.where(times * MILLISECOND < t, np.nextafter(times, np.inf), times)
