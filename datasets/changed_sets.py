"""A data set of recordings in which test recordings show other frames, as files in its layout."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ..core.errors import ConfigError
from .events import Recording
from .frames import FrameConfig
from .recording_sets import RecordingSet, Source
from .recordings import read_recording
from .write_back import WRITERS, Changed, recording_of, write_recording


def samples_to_test(found: RecordingSet) -> tuple[Source, ...]:
    """Where the test samples come from, in their order."""
    return tuple(source for source in found.sources if source.part == "test")


def check_changeable(found: RecordingSet) -> None:
    """Refuses a data set whose test recordings cannot be written.

    Raises:
        ConfigError: If they are in a format that is only read.
    """
    for source in samples_to_test(found):
        if source.path.suffix.lower() not in WRITERS:
            raise ConfigError(
                f"expected recordings that end in {', '.join(WRITERS)}, got {source.path}; convert "
                "the data set to one of these formats"
            )


def changed_sample(
    found: RecordingSet,
    source: Source,
    frames: UInt8[np.ndarray, "T P H W"],
    config: FrameConfig,
) -> Changed:
    """A sample of `found` with events that make it show `frames`.

    Raises:
        DataError: If no recording does; or as reading it raises.
    """
    return recording_of(frames, source.cut(_read(found, source.path)), config)


def write_changed_set(
    found: RecordingSet, folder: Path, out: Path, changed: Mapping[Source, Changed]
) -> None:
    """Writes the files of changed samples under `out`, as they are named under `folder`.

    A file keeps all of its events outside of its changed samples. Without any, one that is for
    training is linked to, and one that is for testing alone is left out.

    Args:
        found: The data set.
        folder: Where it lies.
        out: An empty folder.
        changed: Samples of `found`.
    """
    by_file = sorted(found.sources, key=lambda source: source.path)
    for path, of_file in groupby(by_file, key=lambda source: source.path):
        sources, target = list(of_file), out / path.relative_to(folder)
        own = {source: changed[source] for source in sources if source in changed}
        if own:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_recording(target, _replaced(_read(found, path), own))
        elif any(source.part == "train" for source in sources):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path.resolve())


def _replaced(recording: Recording, changed: Mapping[Source, Changed]) -> Recording:
    """The recording with the events of its changed samples."""
    if any(source.window is None for source in changed):
        (whole,) = changed.values()
        return whole.recording
    t, parts, end = recording.events["t"], [], 0
    for source, (first, last) in _in_order(changed, t):
        parts += [recording.events[end:first], changed[source].recording.events]
        end = last
    parts.append(recording.events[end:])
    return Recording(
        events=np.concatenate(parts),
        height=recording.height,
        width=recording.width,
        source=recording.source,
    )


def _in_order(
    sources: Mapping[Source, Changed], t: np.ndarray
) -> Sequence[tuple[Source, tuple[int, int]]]:
    """Samples of a file with the places of their events, the earliest first."""
    return sorted(((s, s.bounds(t)) for s in sources), key=lambda placed: placed[1])


def _read(found: RecordingSet, path: Path) -> Recording:
    return read_recording(path, sensor=found.sensor, mend=found.mend)[0]
