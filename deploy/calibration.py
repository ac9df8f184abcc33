"""Held-out training samples that scales are searched on."""

from ..datasets.images import ImageData, Part, split
from .deployment import Calibration


def held_out(data: ImageData, *, where: str, kind: str, seed: int, count: int = 128) -> Calibration:
    """Samples of a data set's training part; never of its test part.

    Args:
        data: Where they are taken from.
        where: What the manifest calls it.
        kind: Of data set, which says its licence.
        seed: Of the split.
        count: How many, or all but one where there are fewer.
    """
    _, part = split(data, seed=seed, holdout=min(count, len(data.train_labels) - 1))
    return calibration(part, data, where=where, kind=kind, seed=seed)


def calibration(part: Part, data: ImageData, *, where: str, kind: str, seed: int) -> Calibration:
    """A held-out part of `data`, and in words where it comes from."""
    what = "images" if data.steps is None else "recordings"
    what = f"simulated {what}" if data.is_simulated else what
    return Calibration(
        images=part.images,
        labels=part.labels,
        source=f"{where}: {len(part)} {what} of the training part, split by seed {seed}",
        kind=kind,
    )
