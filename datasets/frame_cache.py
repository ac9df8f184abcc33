"""Frames of a whole data set on disk: counted once, in parallel, and mapped into memory.

A cache file is named by the content of the recordings and by everything that decides the frames, so
a changed file or option makes another one. Rows are written as they are counted; after an
interruption only those that are missing are counted. Of several processes that ask for the same
frames one counts, and the others wait for it.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from ..core.errors import DataError, FormatError
from ..core.files import read_json, sha256, write_json
from ..core.progress import SILENT, Tracker
from .frame_files import ENDINGS, read_frames
from .frames import FrameConfig, to_frames
from .recording_sets import RecordingSet, Source
from .recordings import Sensor, read_recording

LAYOUT = 2
"""Raised when the same options would give other frames."""
FOLDER = "SPIKEPROOF_CACHE"


@dataclass(frozen=True, kw_only=True, eq=False)
class CachedFrames:
    """Frames of all samples in the set's order, mapped from `path`.

    Args:
        frames: `[N, T, 2, H, W]` of uint8, read-only.
        path: The cache file.
        mended: By file and kind, what reading the recordings left out or mended.
    """

    frames: UInt8[np.ndarray, "N T P H W"]
    path: Path
    mended: Mapping[str, Mapping[str, int]]


def cached_frames(
    recordings: RecordingSet,
    config: FrameConfig,
    *,
    workers: int = 1,
    tracker: Tracker = SILENT,
) -> CachedFrames:
    """The frames of a data set, counted or found again.

    Args:
        recordings: The data set.
        config: How recordings become frames.
        workers: Processes that hash and count.
        tracker: Where progress is reported.

    Raises:
        DataError: If a recording is used for training and for testing, or cannot be read.
        FormatError: If one is damaged, or the cache is.
    """
    with _pool(workers) as pool:
        hashes = _hashes(recordings.sources, pool, tracker)
        _refuse_overlap(recordings.sources, hashes)
        stem = _folder() / _identity(recordings, config, hashes)
        done = stem.with_suffix(".npy")
        if not done.is_file():
            with _alone(stem.with_suffix(".lock")):
                if not done.is_file():
                    _count(recordings, config, stem, pool, tracker)
    return CachedFrames(
        frames=_mapped(done, mode="r"), path=done, mended=_mended(stem.with_suffix(".json"))
    )


def _count(
    recordings: RecordingSet,
    config: FrameConfig,
    stem: Path,
    pool: Executor,
    tracker: Tracker,
) -> None:
    """Fills the rows that are missing, then gives the file its name."""
    sources, sensor = recordings.sources, recordings.sensor
    shape = (len(sources), *config.shape(sensor.height, sensor.width))
    partial, marks = stem.with_suffix(".partial.npy"), stem.with_suffix(".filled.npy")
    if not partial.is_file():
        marks.unlink(missing_ok=True)  # of rows that are gone
    rows, filled = _opened(partial, shape), _opened(marks, shape[:1])
    record = stem.with_suffix(".json")
    mended = _mended(record) if record.is_file() else {}
    missing = [i for i in range(len(sources)) if not filled[i]]
    by_file = sorted(missing, key=lambda i: sources[i].path)
    groups = [list(g) for _, g in groupby(by_file, key=lambda i: sources[i].path)]
    with tracker.task("frames", len(sources)) as task:
        task.advance(len(sources) - len(missing), "found")
        jobs = {
            pool.submit(
                frames_of, [sources[i] for i in group], sensor, config, recordings.mend
            ): group
            for group in groups
        }
        for job in as_completed(jobs):
            frames, counts = job.result()
            for row, counted in zip(jobs[job], frames, strict=True):
                rows[row] = counted
            if counts:
                mended[_named(sources[jobs[job][0]].path)] = counts
                write_json(record, {"config": config.to_dict(), "mended": mended})
            filled[jobs[job]] = 1
            task.advance(len(frames))
    # A killed process leaves its pages to the system; only the finished file has to be on disk.
    rows.flush()
    del rows
    write_json(record, {"config": config.to_dict(), "mended": mended})
    partial.replace(stem.with_suffix(".npy"))
    marks.unlink()


def frames_of(
    sources: Sequence[Source], sensor: Sensor, config: FrameConfig, mend: bool
) -> tuple[list[UInt8[np.ndarray, "T P H W"]], dict[str, int]]:
    """Frames of samples that share a file, and what was mended in it.

    Args:
        sources: Of one file.
        sensor: Where the file does not name it.
        config: How recordings become frames.
        mend: Mend a damaged recording instead of refusing it.

    Raises:
        DataError: If it cannot be read, or is too short.
        FormatError: If it is damaged.
    """
    path = sources[0].path
    if path.suffix.lower() in ENDINGS:
        return [read_frames(path, config)], {}
    recording, counts = read_recording(path, sensor=sensor, mend=mend)
    if config.size is None and (recording.height, recording.width) != (sensor.height, sensor.width):
        raise DataError(
            f"expected a sensor of {sensor.width}x{sensor.height} pixels in {path}, got "
            f"{recording.width}x{recording.height}; say how many rows and columns a frame has"
        )
    return [to_frames(source.cut(recording), config) for source in sources], counts


def _named(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _hashes(sources: Sequence[Source], pool: Executor, tracker: Tracker) -> dict[Path, str]:
    """SHA-256 of every file."""
    paths = list(dict.fromkeys(source.path for source in sources))
    hashes = {}
    with tracker.task("hashing recordings", len(paths)) as task:
        for path, digest in zip(paths, pool.map(_hash, paths, chunksize=16), strict=True):
            hashes[path] = digest
            task.advance(1)
    return hashes


def _hash(path: Path) -> str:
    try:
        return sha256(path)
    except OSError as error:
        raise DataError(
            f"expected a readable recording at {path}, got {error.strerror}; check the path"
        ) from error


def _refuse_overlap(sources: Sequence[Source], hashes: Mapping[Path, str]) -> None:
    """One recording under two names, on both sides of the split, would leak."""
    trained = {(hashes[s.path], s.window): s.path for s in sources if s.part == "train"}
    for source in sources:
        twin = trained.get((hashes[source.path], source.window))
        if source.part == "test" and twin is not None:
            raise DataError(
                f"expected test recordings that training does not see, got {source.path}, which "
                f"equals {twin}; remove one of them"
            )


def _identity(recordings: RecordingSet, config: FrameConfig, hashes: Mapping[Path, str]) -> str:
    sensor = [recordings.sensor.height, recordings.sensor.width]
    decided = {
        "layout": LAYOUT,
        "config": config.to_dict(),
        "sensor": sensor,
        "mend": recordings.mend,
        "samples": [[hashes[source.path], source.window] for source in recordings.sources],
    }
    digest = hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()
    return f"{recordings.name}-{digest[:32]}"


def _folder() -> Path:
    """Where caches lie: `$SPIKEPROOF_CACHE`, else the user's folder for caches."""
    if named := os.environ.get(FOLDER):
        folder = Path(named)
    else:
        from platformdirs import user_cache_path

        folder = user_cache_path("spikeproof")
    folder = folder / "frames"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"expected a folder for cached frames at {folder}, got {error.strerror}; name another "
            f"in ${FOLDER}"
        ) from error
    return folder


def _opened(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """A file of zeros of that shape, or the one that an interruption left."""
    if not path.is_file():
        return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    found = _mapped(path, mode="r+")
    if found.shape != shape:
        raise FormatError(
            f"expected {list(shape)} rows at {path}, got {list(found.shape)}; remove the file"
        )
    return found


def _mapped(path: Path, *, mode: Literal["r", "r+"]) -> np.memmap:
    try:
        return np.lib.format.open_memmap(path, mode=mode)
    except ValueError as error:
        raise FormatError(
            f"expected the rows that were counted at {path}, got {error}; remove the file"
        ) from error


def _mended(record: Path) -> dict[str, dict[str, int]]:
    """What lies beside the frames."""
    found = read_json(record) if record.is_file() else None
    if not isinstance(found, dict) or not isinstance(found.get("mended"), dict):
        raise FormatError(
            f"expected what was mended in {record}, got none; remove it and the frames beside it"
        )
    return found["mended"]


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Waits until no other process counts the same."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _pool(workers: int) -> Iterator[Executor]:
    context = get_context("spawn")
    made = ProcessPoolExecutor(workers, context) if workers > 1 else ThreadPoolExecutor(1)
    with made as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
