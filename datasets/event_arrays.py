"""`.npy` of events: what tonic's DVS128 Gesture is distributed as."""

from pathlib import Path

import numpy as np

from ..core.errors import DataError, FormatError
from .bounded import check_size, reading
from .events import MAX_EVENTS, Recording, make_events

FIELDS = ("x", "y", "p", "t")
MILLISECOND = 1000


def read_event_array(path: Path, *, height: int, width: int) -> Recording:
    """Reads numbers `[N, 4]` of column, row, polarity and time in milliseconds.

    Args:
        path: The file; pickled objects are never read.
        height: Rows of the sensor.
        width: Its columns.

    Raises:
        FormatError: If it is no `.npy`, truncated, or holds more than `MAX_EVENTS` rows.
        DataError: If it is absent, or holds something else.
    """
    with reading(path):
        check_size(path.stat().st_size, what=str(path))
        try:
            rows = np.load(path, mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise FormatError(
                f"expected a whole .npy of numbers at {path}, got {error}; copy it again"
            ) from error
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
    if not np.isfinite(values).all() or (lowest < 0).any() or (values >= limits).any():
        raise DataError(
            f"expected columns and rows in 0..65535, polarities 0 or 1 and times from 0 on in "
            f"{path}, got up to {values.max(axis=0).tolist()} from {lowest.tolist()}; convert them"
        )
    x, y, p, t = values.astype(np.int64).T
    return Recording(events=make_events(t, x, y, p), height=height, width=width, source=str(path))
