"""Data sets by their SPEC, and the split of the training part."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from ..core.errors import ConfigError
from ..core.progress import SILENT, Tracker
from ..core.randomness import generator
from .cifar import read_cifar10, read_cifar100
from .digits import read_digits
from .event_data import FINDERS, read_events
from .frames import FrameConfig
from .idx import read_fashion_mnist, read_mnist
from .image_data import ImageData, fingerprint
from .npz_file import read_npz
from .pairs import VIEWS, read_pairs
from .spec import parse_spec

__all__ = ["ImageData", "Part", "fingerprint", "load", "split"]

READERS: dict[str, Callable[[Path], ImageData]] = {
    "npz": read_npz,
    "cifar10": read_cifar10,
    "cifar100": read_cifar100,
    "mnist": read_mnist,
    "fashion-mnist": read_fashion_mnist,
}
"""Readers of the kinds that take a path; `digits` takes none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Some of the training images, with their places in the official order (`indices`)."""

    images: UInt8[np.ndarray, "N C H W"]
    labels: Int64[np.ndarray, " N"]
    indices: Int64[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.indices)


def load(
    spec: str,
    *,
    limit: int | None = None,
    frames: FrameConfig | None = None,
    mend: bool = False,
    tracker: Tracker = SILENT,
) -> ImageData:
    """Reads a data set of images, or of recordings as stacks of frames.

    Args:
        spec: A kind of `spec.KINDS`, with the path of its data: `digits`, `npz:FILE`,
            `cifar10:DIR`, `nmnist:DIR`, ...
        limit: Keep only the first `limit` training and the first `limit` test samples of the
            official order; all where there are fewer.
        frames: How recordings become frames; None for ten of equally many events each.
        mend: Mend damaged recordings instead of refusing them.
        tracker: Where progress on recordings is reported.

    Returns:
        Images uint8 `[N, C, H, W]`, or stacks `[N, T·2, H, W]`, and labels int64 `[N]`, in official
        order.

    Raises:
        ConfigError: If the SPEC is unknown, or `limit` is below 1.
        DataError: If the data is missing, unreadable, empty or of the wrong dtype or shape.
        FormatError: If a file is truncated, foreign, or larger than what is read.
        MissingAbilityError: If the package that decodes recordings is not installed.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"expected a limit of at least 1, got {limit}; leave it out for all")
    source = parse_spec(spec)
    read = read_events if source.kind in FINDERS else read_pairs if source.kind in VIEWS else None
    if read is not None and source.path is not None:
        config = frames or FrameConfig()
        return read(source.kind, source.path, config, limit=limit, mend=mend, tracker=tracker)
    data = read_digits() if source.path is None else READERS[source.kind](source.path)
    return data if limit is None else data.first(limit)


def split(data: ImageData, *, seed: int, holdout: int | float) -> tuple[Part, Part]:
    """Divides the training part at random, scene by scene; the test part is not touched.

    Args:
        data: The data set.
        seed: The same seed and data give the same split.
        holdout: An int counts validation images, a float below 1 is their share.

    Returns:
        What is left to train on, and the validation part, each in official order.

    Raises:
        ConfigError: If either part would be empty.
    """
    total, each = len(data.train_labels), data.per_scene
    scenes = max(1, _holdout_count(holdout, total) // each)
    order = generator(seed, "validation split").permutation(total // each)
    kept, held = (
        (np.sort(part)[:, None] * each + np.arange(each)).reshape(-1)
        for part in (order[scenes:], order[:scenes])
    )
    return _part(data, kept), _part(data, held)


def _holdout_count(holdout: int | float, total: int) -> int:
    is_share = isinstance(holdout, float)
    if isinstance(holdout, bool) or (is_share and not 0 < holdout < 1):
        raise ConfigError(
            f"expected a holdout count or a share between 0 and 1, got {holdout}; give 0.1 or 1000"
        )
    count = round(holdout * total) if is_share else int(holdout)
    if not 1 <= count < total:
        raise ConfigError(
            f"expected a holdout of 1..{total - 1} of {total} images, got {count} (from {holdout});"
            " choose another holdout or more images"
        )
    return count


def _part(data: ImageData, indices: Int64[np.ndarray, " N"]) -> Part:
    return Part(
        images=data.train_images[indices], labels=data.train_labels[indices], indices=indices
    )
