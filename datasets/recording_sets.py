"""Data sets of recordings: which files they have, of which class, and which are for training."""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int64

from ..core.errors import DataError
from .events import Recording
from .recordings import DVS128, Sensor
from .simulation import SIMULATION, read_simulation

PartName = Literal["train", "test"]
PARTS: tuple[PartName, ...] = ("train", "test")

WINDOW = 100_000
"""Microseconds of one sample of a long recording."""
TRAINING_SHARE = 0.8
FEWEST_WINDOWS = 6
"""Of a long recording: with fewer, nothing is left to test on."""
MOST_WINDOWS = 36_000
"""Of a long recording, an hour: a damaged time can ask for millions of years."""
TEST_OF_TEN = 9
"""Recordings of CIFAR10-DVS whose number ends in this digit are test recordings."""
CIFAR10_DVS_SPLIT = "4c8301e57de9588f6cd69641078bcc74d1eff1c8b4b6cd38670a91639469be93"
"""`split_hash()`: results with another hash have seen other test recordings."""
OBJECTS = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
GESTURES = (
    *("hand clapping", "right hand wave", "left hand wave", "right arm clockwise"),
    *("right arm counter clockwise", "left arm clockwise", "left arm counter clockwise"),
    *("arm roll", "air drums", "air guitar", "other"),
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a sample comes from.

    Args:
        path: The recording.
        label: Index of its class.
        part: `train` or `test`.
        window: First and last microsecond from the recording's first event on, the last one
            excluded; None for all of it.
    """

    path: Path
    label: int
    part: PartName
    window: tuple[int, int] | None = None

    def bounds(self, t: Int64[np.ndarray, " N"]) -> tuple[int, int]:
        """Its first event, and the one behind its last, in a recording of these times."""
        if self.window is None:
            return 0, len(t)
        first, last = np.searchsorted(t, t[0] + np.asarray(self.window))
        return int(first), int(last)

    def cut(self, recording: Recording) -> Recording:
        """The sample, of the recording that it comes from."""
        if self.window is None:
            return recording
        first, last = self.bounds(recording.events["t"])
        name = f"{recording.source} from {self.window[0]} us on"
        return replace(recording, events=recording.events[first:last], source=name)


@dataclass(frozen=True, kw_only=True)
class RecordingSet:
    """The samples of a data set in a fixed order, training part first.

    `is_simulated` where a camera model made the recordings, not a camera. `mend` where damaged ones
    are mended instead of refused.
    """

    name: str
    sources: tuple[Source, ...]
    classes: tuple[str, ...]
    sensor: Sensor
    is_simulated: bool = False
    mend: bool = False


def nmnist(folder: Path) -> RecordingSet:
    """N-MNIST as published: `Train|Test/<digit>/<number>.bin`, in order of the number."""
    names = {"train": "Train", "test": "Test"}
    sources = [
        Source(path=path, label=int(path.parent.name), part=part)
        for part in PARTS
        for path in sorted(folder.glob(f"{names[part]}/[0-9]/*.bin"), key=lambda p: p.stem)
    ]
    return _set("nmnist", sources, tuple("0123456789"), Sensor(height=34, width=34), folder)


def dvs_gesture(folder: Path) -> RecordingSet:
    """DVS128 Gesture as tonic unpacks it: `ibmGestureTrain|Test/<user and light>/<label>.npy`."""
    names = {"train": "ibmGestureTrain", "test": "ibmGestureTest"}
    sources = [
        Source(path=path, label=int(path.stem), part=part)
        for part in PARTS
        for path in sorted(folder.glob(f"{names[part]}/*/*.npy"))
        if path.stem.isdecimal() and int(path.stem) < len(GESTURES)
    ]
    return _set("dvs-gesture", sources, GESTURES, DVS128, folder)


def cifar10_dvs(folder: Path) -> RecordingSet:
    """CIFAR10-DVS: `<class>/<anything>_<number>` in `.aedat`, `.aedat4`, `.npz` or `.mat`.

    The data set has no split of its own. Ours goes by the number at the end of a file's name:
    a recording is for testing if that ends in 9, which leaves nine of ten to training. Recordings
    of one number stand together, so that the first few are of all classes. A folder of simulated
    recordings says that it is one, and what its classes are.
    """
    simulation = read_simulation(folder)
    found: list[tuple[int, Source]] = []
    for label, name in enumerate(OBJECTS):
        for path in _files(folder / name, (".aedat", ".aedat4", ".npz", ".mat")):
            number = re.search(r"(\d+)$", path.stem)
            if number is None:
                raise DataError(
                    f"expected a recording with its number at the end of its name, got {path}; "
                    "keep the published names, which decide the split"
                )
            source = Source(path=path, label=label, part=part_of(int(number[1])))
            found.append((int(number[1]), source))
    sources = _numbered(found)
    whole = _set("cifar10-dvs", sources, OBJECTS, DVS128, folder)
    if simulation is None:
        return whole
    if any(source.label >= len(simulation.classes) for source in sources):
        raise DataError(
            f"expected recordings of {len(simulation.classes)} classes in {folder}, as its "
            f"{SIMULATION} says, got more; keep real and simulated recordings in separate folders"
        )
    return replace(whole, name=simulation.name, classes=simulation.classes, is_simulated=True)


def part_of(number: int) -> PartName:
    """Whether a recording of CIFAR10-DVS is for training or testing, by its number."""
    return "test" if number % 10 == TEST_OF_TEN else "train"


def split_hash(count: int = 1000) -> str:
    """SHA-256 of the split of CIFAR10-DVS: a line `<class>/<number> <part>` a recording."""
    lines = (f"{name}/{n} {part_of(n)}\n" for name in OBJECTS for n in range(count))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def long_recordings(folder: Path, durations: Callable[[Path], int]) -> RecordingSet:
    """`<class>.aedat`, each cut into windows of 100 ms.

    The first 80 % of the windows are for training. The next one is left out, so that no test
    window borders on a training window; the rest are for testing. Windows of one time stand
    together, so that the first few are of all classes.

    Args:
        folder: Of one recording a class.
        durations: Microseconds from a recording's first event to its last.

    Raises:
        DataError: If one is too short to be split, or beyond an hour.
    """
    files = _files(folder, (".aedat", ".aedat4"))
    found: list[tuple[int, Source]] = []
    for label, path in enumerate(files):
        count = durations(path) // WINDOW
        if count > MOST_WINDOWS:
            raise DataError(
                f"expected a recording of at most {MOST_WINDOWS} windows of {WINDOW} us, got "
                f"{count} in {path}; a time in it may be damaged: copy it again, or cut it"
            )
        last = int(TRAINING_SHARE * count)
        if not 0 < last < count - 1:
            raise DataError(
                f"expected a recording of at least {FEWEST_WINDOWS} windows of {WINDOW} us, to "
                f"train on and to test on, got {count} in {path}; record longer"
            )
        for n in (n for n in range(count) if n != last):
            part: PartName = "train" if n < last else "test"
            window = (n * WINDOW, (n + 1) * WINDOW)
            found.append((n, Source(path=path, label=label, part=part, window=window)))
    names = tuple(path.stem for path in files)
    return _set("aedat", _numbered(found), names, DVS128, folder)


def _numbered(found: Sequence[tuple[int, Source]]) -> list[Source]:
    """Samples part by part, in order of their numbers; those of one number as they come."""
    in_order = [source for _, source in sorted(found, key=lambda numbered: numbered[0])]
    return [source for part in PARTS for source in in_order if source.part == part]


def _files(folder: Path, endings: Sequence[str]) -> list[Path]:
    """Files of a folder in the order of the numbers in their names."""
    found = [path for path in folder.glob("*") if path.suffix.lower() in endings]
    return sorted(found, key=lambda path: [*_natural(path.name)])


def _natural(name: str) -> Iterator[tuple[int, int | str]]:
    for word in re.findall(r"\d+|\D+", name):
        yield (0, int(word)) if word.isdecimal() else (1, word)


def _set(
    name: str, sources: Sequence[Source], classes: tuple[str, ...], sensor: Sensor, folder: Path
) -> RecordingSet:
    missing = [part for part in PARTS if not any(source.part == part for source in sources)]
    if missing:
        raise DataError(
            f"expected recordings of {name} for training and testing in {folder}, got none for "
            f"{' and '.join(missing)}; give the folder that holds the published ones"
        )
    return RecordingSet(name=name, sources=tuple(sources), classes=classes, sensor=sensor)
