"""Events counted into frames: T time bins by two polarities."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int32, Int64, Shaped, UInt8, UInt16

from ..core.errors import ConfigError, DataError
from .events import Recording

POLARITIES = 2
CAP = 255
BINNINGS = ("time", "count")


@dataclass(frozen=True, kw_only=True)
class FrameConfig:
    """How a recording becomes frames.

    Args:
        steps: T, number of time bins.
        binning: `time` for bins of equal duration, `count` for bins of equally many events.
        size: Rows and columns of a frame, at most the sensor's; None keeps the sensor's. A smaller
            frame counts the events of several pixels in one cell.
        unit: What one event adds to its cell: 1 counts events; 32 makes room for changes of less
            than one event, as published attacks on frames make them.
        cap: Largest value of a cell, 1..255: the payload that the chip takes.

    Raises:
        ConfigError: If a number is out of range or the binning is unknown.
    """

    steps: int = 10
    binning: str = "count"
    size: tuple[int, int] | None = None
    unit: int = 1
    cap: int = CAP

    def __post_init__(self) -> None:
        if self.steps < 1 or not 1 <= self.unit <= self.cap <= CAP:
            raise ConfigError(
                f"expected steps >= 1 and 1 <= unit <= cap <= {CAP}, got steps {self.steps}, unit "
                f"{self.unit} and cap {self.cap}; correct them"
            )
        if self.binning not in BINNINGS:
            raise ConfigError(
                f"expected binning by {' or '.join(BINNINGS)}, got {self.binning!r}; choose one"
            )
        if self.size is not None and min(self.size) < 1:
            raise ConfigError(f"expected frames of at least 1x1 cells, got {self.size}; enlarge it")

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self) | {"size": None if self.size is None else list(self.size)}

    def shape(self, height: int, width: int) -> tuple[int, int, int, int]:
        """`(T, 2, H, W)` of the frames of a sensor.

        Raises:
            ConfigError: If a frame would have more rows or columns than the sensor.
        """
        rows, columns = self.size or (height, width)
        if rows > height or columns > width:
            raise ConfigError(
                f"expected frames within the sensor's {height}x{width} pixels, got "
                f"{rows}x{columns}; make them smaller"
            )
        return self.steps, POLARITIES, rows, columns

    def cells(
        self, events: Shaped[np.ndarray, " N"], height: int, width: int
    ) -> Int32[np.ndarray, " N"]:
        """Index of each event's cell in a frame `[2, H, W]`, in C order."""
        _, _, rows, columns = self.shape(height, width)
        # Indices of cells are small: 32 bits halve the memory that is moved.
        y = _scaled(events["y"], rows, height)
        x = _scaled(events["x"], columns, width)
        return (events["p"].astype(np.int32) * rows + y) * columns + x


def to_frames(recording: Recording, config: FrameConfig) -> UInt8[np.ndarray, "T P H W"]:
    """Counts of events by time bin, polarity (OFF, ON), row and column, times `unit`, capped.

    A bin lasts ⌊duration / T⌋ µs, or holds ⌊events / T⌋ events; what lies behind the last bin is
    left out. Both are the edges of tonic's `ToFrame`.

    Raises:
        DataError: If the recording is too short for T bins.
        ConfigError: If a frame would be larger than the sensor.
    """
    counts = cells_of_events(recording, config, bin_edges(recording, config))
    return np.minimum(config.unit * counts, config.cap).astype(np.uint8)


def cells_of_events(
    recording: Recording, config: FrameConfig, edges: Int64[np.ndarray, " edges"]
) -> Int64[np.ndarray, "T P H W"]:
    """Counts of events by cell, from edges as of `bin_edges`."""
    steps, polarities, rows, columns = config.shape(recording.height, recording.width)
    inside = recording.events[int(edges[0]) : int(edges[-1])]
    step = np.repeat(np.arange(steps, dtype=np.int32), np.diff(edges))
    cell = config.cells(inside, recording.height, recording.width)
    cell += step * (polarities * rows * columns)
    counts = np.bincount(cell, minlength=steps * polarities * rows * columns)
    return counts.reshape(steps, polarities, rows, columns)


def _scaled(
    place: UInt16[np.ndarray, " events"], cells: int, pixels: int
) -> Int32[np.ndarray, " events"]:
    """The row or column of cells in which a row or column of pixels lies."""
    whole = place.astype(np.int32)
    return whole if cells == pixels else whole * cells // pixels


def bin_edges(recording: Recording, config: FrameConfig) -> Int64[np.ndarray, " edges"]:
    """Places in the recording where the bins begin, and where the last one ends.

    Raises:
        DataError: If the recording is too short for so many bins.
    """
    finder = {"time": _time_edges, "count": _count_edges}[config.binning]
    return finder(recording, config.steps)


def _time_edges(recording: Recording, steps: int) -> Int64[np.ndarray, " edges"]:
    t = recording.events["t"]
    if not len(t):
        raise DataError(f"expected events in {recording.source}, got none; leave it out")
    window = int(t[-1] - t[0]) // steps
    if window == 0:
        raise DataError(
            f"expected a recording of at least {steps} us for {steps} bins in {recording.source}, "
            f"got {int(t[-1] - t[0])} us; take fewer bins"
        )
    return np.searchsorted(t, t[0] + window * np.arange(steps + 1)).astype(np.int64)


def _count_edges(recording: Recording, steps: int) -> Int64[np.ndarray, " edges"]:
    each = len(recording) // steps
    if each == 0:
        raise DataError(
            f"expected at least {steps} events for {steps} bins in {recording.source}, got "
            f"{len(recording)}; take fewer bins"
        )
    return each * np.arange(steps + 1, dtype=np.int64)


def check_frames(
    frames: Shaped[np.ndarray, "*axes"] | Float[np.ndarray, "*axes"], *, what: str
) -> UInt8[np.ndarray, "T P H W"]:
    """Frames that somebody else counted, as uint8.

    Raises:
        DataError: If they are not `[T, 2, H, W]`, or hold anything but whole counts 0..255.
    """
    if frames.ndim != 4 or frames.shape[1] != POLARITIES or 0 in frames.shape:
        raise DataError(
            f"expected frames [T, {POLARITIES}, H, W] in {what}, got {list(frames.shape)}; "
            "convert them"
        )
    if frames.dtype.kind not in "iuf" or not np.isfinite(frames).all():
        raise DataError(f"expected counts in {what}, got {frames.dtype} or NaN; convert them")
    whole = frames.astype(np.uint8) if frames.size else frames
    if frames.min() < 0 or frames.max() > CAP or (whole != frames).any():
        raise DataError(
            f"expected whole counts 0..{CAP} in {what}, got {frames.min()}..{frames.max()} or "
            "fractions; frames that were scaled or smoothed are no counts of events"
        )
    return whole
