"""Recordings of event cameras: what an event is, and what a lawful recording is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Integer, Shaped

from ..core.errors import DataError

EVENT = np.dtype(
    [("t", np.int64), ("x", np.uint16), ("y", np.uint16), ("p", np.uint8)],
    # Fields that straddle words are read several times slower.
    align=True,
)
"""Time in microseconds, column, row, and polarity: 1 where it got brighter (ON), 0 darker (OFF)."""

MAX_EVENTS = 2**26
"""Most events of one recording, 67 million: 1.1 GB, an hour of a busy 128x128 sensor."""


OUTSIDE, BACKWARDS = "events beside the sensor", "steps back in time"
UNPOLAR = "events that are neither ON nor OFF"
"""What `repair` counts."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """Events in the order of the file, and the size of the sensor that saw them.

    Args:
        events: `[N]` of `EVENT`. Addresses are the file's: nothing is mirrored.
        height: Rows of the sensor, in pixels.
        width: Its columns.
        source: What messages call it.
        left_out: By kind, how many records of the file are no events of a pixel: triggers, say.
    """

    events: Shaped[np.ndarray, " N"]
    height: int
    width: int
    source: str
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.events)


def make_events(
    t: Integer[np.ndarray, " N"],
    x: Integer[np.ndarray, " N"],
    y: Integer[np.ndarray, " N"],
    p: Integer[np.ndarray, " N"] | Bool[np.ndarray, " N"],
) -> Shaped[np.ndarray, " N"]:
    """Events from their four fields."""
    events = np.empty(len(t), dtype=EVENT)
    events["t"], events["x"], events["y"], events["p"] = t, x, y, p
    return events


def check(recording: Recording) -> Recording:
    """The recording, if every event is of a pixel and a polarity, and time never runs backwards.

    Raises:
        DataError: If one does not, or there is none; `repair` drops and sorts instead.
    """
    events = recording.events
    if not len(events):
        raise DataError(f"expected events in {recording.source}, got none; leave the file out")
    outside, backwards = _outside(recording), _backwards(events)
    if _unpolar(events).any():
        raise DataError(
            f"expected polarities 0 or 1 in {recording.source}, got {int(events['p'].max())}; "
            "repair the recording to drop such events"
        )
    if outside.any():
        first = events[int(outside.argmax())]
        raise DataError(
            f"expected events on a sensor of {recording.width}x{recording.height} pixels in "
            f"{recording.source}, got {int(outside.sum())} beside it, the first at "
            f"x={first['x']}, y={first['y']}; repair the recording to drop them"
        )
    if backwards:
        raise DataError(
            f"expected times that never fall in {recording.source}, got {backwards} steps back; "
            "repair the recording to sort its events"
        )
    return recording


def repair(recording: Recording) -> tuple[Recording, dict[str, int]]:
    """Drops what are no events of a pixel and sorts the rest by time, those of one time in order.

    Returns:
        The lawful recording, and by kind how many events were dropped, and how many steps back in
        time sorting removed.

    Raises:
        DataError: If nothing is left.
    """
    outside, unpolar = _outside(recording), _unpolar(recording.events)
    kept = recording.events[~(outside | unpolar)]
    backwards = _backwards(kept)
    if backwards:
        kept = kept[np.argsort(kept["t"], kind="stable")]
    dropped = {OUTSIDE: int(outside.sum()), UNPOLAR: int((unpolar & ~outside).sum())}
    counts = {kind: count for kind, count in (dropped | {BACKWARDS: backwards}).items() if count}
    return check(replace(recording, events=kept)), counts


def _outside(recording: Recording) -> Bool[np.ndarray, " N"]:
    events = recording.events
    return (events["x"] >= recording.width) | (events["y"] >= recording.height)


def _unpolar(events: Shaped[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    return events["p"] > 1


def _backwards(events: Shaped[np.ndarray, " N"]) -> int:
    return int((np.diff(events["t"]) < 0).sum())
