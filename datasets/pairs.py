"""Pictures and recordings of the same scenes, as the same kind of input: MNIST beside N-MNIST."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from ..core.errors import DataError
from ..core.progress import SILENT, Tracker
from .event_data import read_events
from .frames import POLARITIES, FrameConfig
from .idx import read_mnist
from .image_data import ImageData
from .npz_file import read_npz
from .recording_sets import PARTS, PartName, nmnist

RECORDING, PICTURE = "recording", "picture"
VIEWS: dict[str, tuple[str, ...]] = {
    "mnist-pairs": (RECORDING, PICTURE),
    "mnist-pairs-recordings": (RECORDING,),
    "mnist-pairs-pictures": (PICTURE,),
}
"""By kind, how a scene is shown, in this order."""
RECORDINGS, PICTURES, OFFICIAL = "NMNIST", "mnist-subset.npz", "MNIST"
"""What lies in the folder: the recordings, and the pictures in one file or as published."""


def read_pairs(
    kind: str,
    folder: Path,
    config: FrameConfig,
    *,
    limit: int | None = None,
    mend: bool = False,
    tracker: Tracker = SILENT,
) -> ImageData:
    """Every scene of N-MNIST as its recording, its picture in MNIST, or one after the other.

    Recording number n is of picture n (N-MNIST counts from 1). Pictures become frames with
    `picture_frames`, so that one network takes both.

    Args:
        kind: A key of `VIEWS`.
        folder: Holds `NMNIST/`, and `mnist-subset.npz` or MNIST's files in `MNIST/`.
        config: How a recording becomes frames.
        limit: Keep only the first samples of each part, whole scenes, at least one.
        mend: Mend damaged recordings instead of refusing them.
        tracker: Where progress is reported.

    Returns:
        Stacks `[N, T·2, H, W]`; where scenes are shown twice, both samples of one stand together.

    Raises:
        DataError: If something is missing, or a recording has another label than its picture.
        FormatError: If a file is damaged.
    """
    shown = VIEWS[kind]
    scenes = None if limit is None else max(1, limit // len(shown))
    recordings = read_events(
        "nmnist", folder / RECORDINGS, config, limit=scenes, mend=mend, tracker=tracker
    )
    pictures = _pictures(folder)
    numbers = _numbers(folder / RECORDINGS)
    parts = {}
    for part in PARTS:
        labels = {"train": recordings.train_labels, "test": recordings.test_labels}[part]
        of_part = {"train": recordings.train_images, "test": recordings.test_images}[part]
        chosen = _chosen(pictures, part, numbers[part][: len(labels)], labels)
        seen = {RECORDING: of_part, PICTURE: picture_frames(chosen, config, of_part.shape[2:])}
        stacked = np.stack([seen[view] for view in shown], axis=1)
        parts[f"{part}_images"] = stacked.reshape(-1, *of_part.shape[1:])
        parts[f"{part}_labels"] = np.repeat(labels, len(shown))
    return replace(recordings, name=kind, per_scene=len(shown), **parts)


def picture_frames(
    pictures: UInt8[np.ndarray, "N 1 H W"], config: FrameConfig, size: tuple[int, int]
) -> UInt8[np.ndarray, "N TP H2 W2"]:
    """Grey pictures as frames: the grey level, in the middle, in every step and both polarities.

    That is what a network that takes images is shown: the same picture at every step. A picture
    has no polarity, and both channels alike leave none to be told from. One level of a cell is one
    level of grey, so that a radius allows the same change of every cell in either view.

    Args:
        pictures: One channel, at most as large as a frame.
        config: Says how many steps, and the largest value of a cell.
        size: Rows and columns of a frame.

    Raises:
        DataError: If a picture is larger than a frame.
    """
    count, _, height, width = pictures.shape
    if height > size[0] or width > size[1]:
        raise DataError(
            f"expected frames of at least {height}x{width} cells to show pictures in, got "
            f"{size[0]}x{size[1]}; make them larger"
        )
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    frames = np.zeros((count, config.steps * POLARITIES, *size), np.uint8)
    levels = np.minimum(pictures, config.cap)
    frames[:, :, top : top + height, left : left + width] = levels
    return frames


def _pictures(folder: Path) -> ImageData:
    if (folder / PICTURES).is_file():
        return read_npz(folder / PICTURES)
    if (folder / OFFICIAL).is_dir():
        return read_mnist(folder / OFFICIAL)
    raise DataError(
        f"expected {PICTURES} or MNIST's files in {OFFICIAL}/ in {folder}, got neither; put the "
        f"pictures beside the recordings in {RECORDINGS}/"
    )


def _numbers(folder: Path) -> dict[PartName, Int64[np.ndarray, " N"]]:
    """Indices of the pictures of each part's recordings, from 0."""
    found: dict[PartName, list[int]] = {part: [] for part in PARTS}
    for source in nmnist(folder).sources:
        if not source.path.stem.isdecimal():
            raise DataError(
                f"expected a recording named by its number, got {source.path}; keep the published "
                "names, which say what picture it is of"
            )
        found[source.part].append(int(source.path.stem) - 1)
    return {part: np.array(numbers, dtype=np.int64) for part, numbers in found.items()}


def _chosen(
    pictures: ImageData,
    part: PartName,
    numbers: Int64[np.ndarray, " N"],
    labels: Int64[np.ndarray, " N"],
) -> UInt8[np.ndarray, "N 1 H W"]:
    """The pictures of the recordings, whose labels have to be the same."""
    images = {"train": pictures.train_images, "test": pictures.test_images}[part]
    known = {"train": pictures.train_labels, "test": pictures.test_labels}[part]
    if numbers.min() < 0 or numbers.max() >= len(known):
        raise DataError(
            f"expected a {part} picture for every recording, got recordings {numbers.min() + 1}.."
            f"{numbers.max() + 1} and {len(known)} pictures; give the pictures of all of them"
        )
    other = np.flatnonzero(known[numbers] != labels)
    if len(other):
        first = int(other[0])
        raise DataError(
            f"expected recordings and pictures of the same scenes, got {part} recording "
            f"{numbers[first] + 1} of a {labels[first]} and its picture of a "
            f"{known[numbers[first]]}; give the data sets that belong together"
        )
    return images[numbers]
