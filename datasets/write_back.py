"""Changed frames back as a recording: the fewest events of the original go, others come."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int64, Shaped, UInt8

from ..core.choice import chosen
from ..core.errors import ConfigError, DataError
from .aedat2 import write_aedat2
from .aedat4 import write_aedat4
from .bin_events import write_bin
from .event_arrays import write_event_array
from .events import EVENT, Recording
from .frames import FrameConfig, bin_edges, cells_of_events, to_frames

CAMERA = "spikeproof"


@dataclass(frozen=True, kw_only=True, eq=False)
class Changed:
    """A recording that becomes other frames.

    Args:
        recording: Lawful, of the same sensor, from the first to the last time of the original.
        added: Events that the original lacks.
        removed: Events of the original that it lacks.
    """

    recording: Recording
    added: int
    removed: int


def recording_of(
    frames: UInt8[np.ndarray, "T P H W"],
    original: Recording,
    config: FrameConfig,
    *,
    refractory: int = 1,
) -> Changed:
    """A recording whose frames are exactly `frames`, as near to the original as it can be.

    From a cell that counts less, the latest events go. Where it counts more, each new event comes
    in the middle of the longest pause of the cell's pixels in that bin. Sensor physics: between two
    events of a pixel, one of them new, lie `refractory` µs at least, whatever their polarity.

    Args:
        frames: What it has to become, in whole events. A cell at the cap is full already if the
            original's is.
        original: The recording that was changed.
        config: How recordings become frames. With bins of equal time the first time is kept, as the
            last one is; bins of equally many events have to keep their numbers of events.
        refractory: Microseconds, 1 at least.

    Raises:
        ConfigError: If `refractory` is below 1.
        DataError: If frames are no whole events of this recording, or there is no room for one.
    """
    if refractory < 1:
        raise ConfigError(
            f"expected a refractory period of at least 1 us, got {refractory}; a pixel sends one "
            "event a microsecond"
        )
    edges = bin_edges(original, config)
    wanted = _wanted(frames, original, config)
    events, parts = original.events, [original.events[: int(edges[0])]]
    room, added, removed = _Room(original, config, refractory=refractory), 0, 0
    for step, (lo, hi) in enumerate(_spans(original, config, edges)):
        inside = events[int(edges[step]) : int(edges[step + 1])]
        kept = _thinned(inside, wanted[step], original, config)
        new = room.filled(kept, wanted[step], lo, hi)
        both = np.concatenate([kept, new])
        parts.append(both[np.argsort(both["t"], kind="stable")])
        added, removed = added + len(new), removed + len(inside) - len(kept)
    parts.append(events[int(edges[-1]) :])
    if config.binning == "time":
        _keep_start(parts[1], int(events["t"][0]), original)
    found = replace(original, events=np.concatenate(parts), left_out={})
    _check(found, frames, config)
    return Changed(recording=found, added=added, removed=removed)


def write_recording(path: Path, recording: Recording) -> None:
    """Writes a recording in the format that the ending of its name says, whole or not at all.

    Raises:
        ConfigError: If the format cannot hold it, or the ending is none of `WRITERS`.
    """
    chosen(WRITERS, path.suffix.lower(), what="an ending of a recording")(path, recording)


def _wanted(
    frames: np.ndarray, original: Recording, config: FrameConfig
) -> Int64[np.ndarray, "T P H W"]:
    """Events of each cell."""
    shape = config.shape(original.height, original.width)
    if frames.shape != shape:
        raise DataError(
            f"expected frames {list(shape)} of {original.source}, got {list(frames.shape)}; bin "
            "the recording as the network does"
        )
    edges, levels = bin_edges(original, config), frames.astype(np.int64)
    counts = cells_of_events(original, config, edges)
    is_full, fewest = levels == config.cap, -(-config.cap // config.unit)
    odd = ~is_full & ((levels % config.unit != 0) | (levels > config.cap))
    if odd.any():
        raise DataError(
            f"expected whole events of {config.unit} levels in the frames of {original.source}, "
            f"got {levels[odd][0]} levels; frames changed by fractions of an event are no recording"
        )
    wanted = np.where(is_full, np.maximum(counts, fewest), levels // config.unit)
    before, after = counts.reshape(len(counts), -1).sum(1), wanted.reshape(len(counts), -1).sum(1)
    if config.binning == "count" and (before != after).any():
        step = int(np.flatnonzero(before != after)[0])
        raise DataError(
            f"expected {before[step]} events in bin {step} of {original.source}, got "
            f"{after[step]}; bins of equally many events shift where their number changes, bin "
            "by time"
        )
    return wanted


def _spans(
    original: Recording, config: FrameConfig, edges: Int64[np.ndarray, " edges"]
) -> Iterator[tuple[int, int]]:
    """First and last time that a new event of each bin may have."""
    t = original.events["t"]
    if config.binning == "time":
        window = int(t[-1] - t[0]) // config.steps
        for step in range(config.steps):
            yield int(t[0]) + step * window, int(t[0]) + (step + 1) * window - 1
        return
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        yield int(t[start]), int(t[min(stop, len(t) - 1)])


def _thinned(
    inside: Shaped[np.ndarray, " N"],
    wanted: Int64[np.ndarray, "P H W"],
    original: Recording,
    config: FrameConfig,
) -> Shaped[np.ndarray, " kept"]:
    """Events of a bin without the latest of each cell that has too many."""
    cell = config.cells(inside, original.height, original.width)
    order = np.argsort(cell, kind="stable")
    starts = np.searchsorted(cell[order], cell[order], side="left")
    rank = np.empty(len(cell), dtype=np.int64)
    rank[order] = np.arange(len(cell)) - starts
    return inside[rank < wanted.reshape(-1)[cell]]


class _Room:
    """Where new events fit, between those of the original and those that came before them."""

    def __init__(self, original: Recording, config: FrameConfig, *, refractory: int) -> None:
        self._original, self._config, self._refractory = original, config, refractory
        self._times: dict[tuple[int, int], np.ndarray] = {}
        _, _, self._rows, self._columns = config.shape(original.height, original.width)

    def filled(
        self,
        kept: Shaped[np.ndarray, " kept"],
        wanted: Int64[np.ndarray, "P H W"],
        lo: int,
        hi: int,
    ) -> Shaped[np.ndarray, " missing"]:
        """The events that are missing in a bin, in times lo..hi."""
        cell = self._config.cells(kept, self._original.height, self._original.width)
        missing = wanted.reshape(-1) - np.bincount(cell, minlength=wanted.size)
        found = []
        for index in np.flatnonzero(missing):
            polarity, row, column = np.unravel_index(index, wanted.shape)
            pixels = self._pixels(int(row), int(column))
            for _ in range(int(missing[index])):
                found.append((*self._place(pixels, lo, hi), int(polarity)))
        events = np.empty(len(found), dtype=EVENT)
        for name, k in (("t", 0), ("y", 1), ("x", 2), ("p", 3)):
            events[name] = [each[k] for each in found]
        return events

    def _pixels(self, row: int, column: int) -> list[tuple[int, int]]:
        """Pixels that count in a cell."""
        height, width = self._original.height, self._original.width
        ys = [y for y in range(height) if y * self._rows // height == row]
        xs = [x for x in range(width) if x * self._columns // width == column]
        return [(y, x) for y in ys for x in xs]

    def _place(self, pixels: list[tuple[int, int]], lo: int, hi: int) -> tuple[int, int, int]:
        """Time, row and column in the middle of the longest pause."""
        pauses = [(*self._pause(pixel, lo, hi), pixel) for pixel in pixels]
        length, time, (y, x) = max(pauses, key=lambda pause: pause[0])
        if length < 2 * self._refractory:
            raise DataError(
                f"expected room for an event at x={x}, y={y} of {self._original.source} within "
                f"{lo}..{hi} us, got none with {self._refractory} us between events; change fewer "
                "events there, or shorten the refractory period"
            )
        times = self._of((y, x))
        self._times[y, x] = np.insert(times, np.searchsorted(times, time), time)
        return time, y, x

    def _pause(self, pixel: tuple[int, int], lo: int, hi: int) -> tuple[int, int]:
        """Length and middle of a pixel's longest pause; the ends of the bin count as free."""
        times, margin = self._of(pixel), self._refractory
        near = times[(times > lo - margin) & (times < hi + margin)]
        ends = np.concatenate([[lo - margin], near, [hi + margin]])
        gaps = np.diff(ends)
        longest = int(gaps.argmax())
        middle = int(ends[longest] + gaps[longest] // 2)
        return int(gaps[longest]), min(max(middle, lo), hi)

    def _of(self, pixel: tuple[int, int]) -> Int64[np.ndarray, " events"]:
        """Times of a pixel's events, those of the original that were taken away included."""
        if pixel not in self._times:
            events = self._original.events
            here = (events["y"] == pixel[0]) & (events["x"] == pixel[1])
            self._times[pixel] = events["t"][here]
        return self._times[pixel]


def _keep_start(first: Shaped[np.ndarray, " N"], start: int, original: Recording) -> None:
    """Lets the first bin's earliest event be the recording's start, from which bins are counted."""
    if not len(first):
        raise DataError(
            f"expected an event in the first bin of {original.source}, got none; bins of equal "
            "time begin with one, leave one there"
        )
    first["t"][0] = start


def _check(found: Recording, frames: np.ndarray, config: FrameConfig) -> None:
    """Makes sure of what `recording_of` promises."""
    assert (np.diff(found.events["t"]) >= 0).all()
    assert np.array_equal(to_frames(found, config), frames)


WRITERS: dict[str, Callable[[Path, Recording], None]] = {
    ".bin": write_bin,
    ".aedat": write_aedat2,
    ".aedat4": lambda path, recording: write_aedat4(path, recording, camera=CAMERA),
    ".npy": write_event_array,
}
"""By ending of the name; what they write, `recordings.READERS` read."""
