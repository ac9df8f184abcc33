"""Data sets of recordings as stacks of frames, which the rest of the package takes for images."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..core.axes import frames_to_stacks
from ..core.progress import SILENT, Tracker
from .frame_cache import cached_frames
from .frames import FrameConfig
from .image_data import ImageData, labels_from
from .recording_sets import (
    PARTS,
    RecordingSet,
    cifar10_dvs,
    dvs_gesture,
    long_recordings,
    nmnist,
)
from .recordings import read_recording

FINDERS: dict[str, Callable[[Path], RecordingSet]] = {
    "nmnist": nmnist,
    "cifar10-dvs": cifar10_dvs,
    "dvs-gesture": dvs_gesture,
    "aedat": lambda folder: long_recordings(folder, _duration),
}
"""What finds the recordings of a kind."""


def read_events(
    kind: str,
    folder: Path,
    config: FrameConfig,
    *,
    limit: int | None = None,
    mend: bool = False,
    tracker: Tracker = SILENT,
) -> ImageData:
    """Counts the recordings of a data set into frames, or finds them counted.

    Args:
        kind: A key of `FINDERS`.
        folder: Where the recordings lie.
        config: How a recording becomes frames.
        limit: Keep only the first samples of each part.
        mend: Mend damaged recordings instead of refusing them.
        tracker: Where progress is reported.

    Returns:
        Stacks `[N, T·2, H, W]`, mapped from the cache.

    Raises:
        DataError: If recordings are missing, unreadable, or on both sides of the split.
        FormatError: If one is damaged.
        MissingAbilityError: If the package that decodes them is not installed.
    """
    found = find_recordings(kind, folder, mend=mend)
    if limit is not None:
        found = _first(found, limit)
    workers = max(1, len(os.sched_getaffinity(0))) if len(found.sources) > 1000 else 1
    cached = cached_frames(found, config, workers=workers, tracker=tracker)
    stacks = frames_to_stacks(cached.frames)
    count = sum(source.part == "train" for source in found.sources)
    labels = labels_from(np.array([source.label for source in found.sources]), what=found.name)
    return ImageData(
        name=found.name,
        train_images=stacks[:count],
        train_labels=labels[:count],
        test_images=stacks[count:],
        test_labels=labels[count:],
        classes=found.classes,
        steps=config.steps,
        is_simulated=found.is_simulated,
        left_out=_sums(cached.mended.values()),
    )


def find_recordings(kind: str, folder: Path, *, mend: bool = False) -> RecordingSet:
    """The recordings of a kind of `FINDERS`, to be mended where they are damaged if asked to."""
    return replace(FINDERS[kind](folder), mend=mend)


def _sums(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """By kind, over all files."""
    return dict(sum((Counter(of_file) for of_file in counts), Counter()))


def _first(found: RecordingSet, limit: int) -> RecordingSet:
    kept = [
        source for part in PARTS for source in [s for s in found.sources if s.part == part][:limit]
    ]
    return replace(found, sources=tuple(kept))


def _duration(path: Path) -> int:
    # Counting the frames refuses a damaged one; here it only has to have the same windows mended.
    t = read_recording(path, mend=True)[0].events["t"]
    return int(t[-1] - t[0])
