"""Images and labels of one data set, checked once."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Int64, Shaped

from ..core.errors import DataError

MAX_CLASSES = 2**16
"""More classes than this is taken for damaged labels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageData:
    """A training and a test part on the uint8 lattice, both in their official order.

    Images are uint8 `[N, C, H, W]`, or stacks of T frames of events `[N, T·C, H, W]` where `steps`
    says T; labels are int64 `[N]`. `is_simulated` where a model of a camera recorded them. So
    many samples as `per_scene` says, in a row, show the same scene. Reading recordings left out or
    mended what `left_out` counts, by kind. The arrays are annotated
    plainly, because this class is where foreign ones are checked.

    Raises:
        DataError: If an array has another dtype or shape, is empty, the parts differ in map size,
            or a label is no index of `classes`.
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]
    steps: int | None = None
    is_simulated: bool = False
    per_scene: int = 1
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part, images, labels in (
            ("train", self.train_images, self.train_labels),
            ("test", self.test_images, self.test_labels),
        ):
            _check_images(images, what=f"{self.name} {part}_images")
            _check_labels(
                labels,
                count=len(images),
                classes=len(self.classes),
                what=f"{self.name} {part}_labels",
            )
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise DataError(
                f"expected training and test images of one size in {self.name}, got "
                f"{self.train_images.shape[1:]} and {self.test_images.shape[1:]}; crop or pad them"
            )
        if self.steps is not None and self.train_images.shape[1] % self.steps:
            raise DataError(
                f"expected stacks of {self.steps} frames in {self.name}, got "
                f"{self.train_images.shape[1]} channels; stack whole frames"
            )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(C, H, W)` of one image or frame."""
        channels, height, width = self.train_images.shape[1:]
        return channels // (self.steps or 1), height, width

    @property
    def train_maps(self) -> np.ndarray:
        """All training images or frames, `[N or N·T, C, H, W]`."""
        return self.train_images.reshape(-1, *self.image_shape)

    def first(self, count: int) -> "ImageData":
        """The first `count` training and the first `count` test images, copied."""
        return replace(
            self,
            train_images=self.train_images[:count].copy(),
            train_labels=self.train_labels[:count].copy(),
            test_images=self.test_images[:count].copy(),
            test_labels=self.test_labels[:count].copy(),
        )


def labels_from(labels: Shaped[np.ndarray, "*axes"], *, what: str) -> Int64[np.ndarray, " N"]:
    """Labels of any integer dtype as int64.

    Raises:
        DataError: If they are no integers, not one-dimensional, or outside 0..`MAX_CLASSES` - 1.
    """
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"expected integer labels [N] in {what}, got {labels.dtype} {list(labels.shape)}; "
            "store class indices"
        )
    if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) < MAX_CLASSES:
        raise DataError(
            f"expected labels in 0..{MAX_CLASSES - 1} in {what}, got "
            f"{labels.min()}..{labels.max()}; store class indices"
        )
    return labels.astype(np.int64)


def fingerprint(data: ImageData) -> str:
    """SHA-256 over the four arrays with their shapes: what an audit records as the data it read.

    The name and the words for the classes are left out, so the same pictures read from another
    container have the same fingerprint.
    """
    digest = hashlib.sha256()
    for array in (data.train_images, data.train_labels, data.test_images, data.test_labels):
        portable = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        digest.update(f"{portable.dtype.str}{list(portable.shape)}".encode())
        digest.update(portable.data)
    return digest.hexdigest()


def _check_images(images: np.ndarray, *, what: str) -> None:
    if images.dtype != np.uint8:
        raise DataError(
            f"expected uint8 pixels in {what}, got {images.dtype}; store whole numbers 0..255"
        )
    if images.ndim != 4 or 0 in images.shape:
        raise DataError(
            f"expected non-empty images with four axes in {what}, got shape "
            f"{list(images.shape)}; give samples, channels, height and width"
        )


def _check_labels(labels: np.ndarray, *, count: int, classes: int, what: str) -> None:
    if labels.dtype != np.int64 or labels.shape != (count,):
        raise DataError(
            f"expected one int64 label for each of {count} images in {what}, got {labels.dtype} "
            f"{list(labels.shape)}; store one class index an image"
        )
    if not 0 <= labels.min() <= labels.max() < classes:
        raise DataError(
            f"expected labels in 0..{classes - 1} in {what}, got {labels.min()}..{labels.max()}; "
            "store class indices"
        )
