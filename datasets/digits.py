"""The digits that come with scikit-learn: 1797 real 8x8 pictures, no download.

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998 (its test
set, as scikit-learn ships it).
"""

from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from .image_data import ImageData

TRAIN_COUNT = 1437
"""The first 1437 pictures, in scikit-learn's own order, are for training; the last 360 are test."""

TOP_LEVEL = 16
"""Brightest value in scikit-learn's copy."""


def read_digits() -> ImageData:
    """Reads the digits as one-channel images on the uint8 lattice.

    The split is fixed: scikit-learn's own order is the official one, its last 360 pictures the
    test. Neighbours in this order are not independent, so a shuffled split would look easier.
    """
    # Here, because importing scikit-learn takes seconds that other data sets need not wait for.
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    images, labels = to_lattice(bunch.images), bunch.target.astype(np.int64)
    return ImageData(
        name="digits",
        train_images=images[:TRAIN_COUNT],
        train_labels=labels[:TRAIN_COUNT],
        test_images=images[TRAIN_COUNT:],
        test_labels=labels[TRAIN_COUNT:],
        classes=tuple(str(name) for name in bunch.target_names),
    )


def to_lattice(levels: Float[np.ndarray, "N H W"]) -> UInt8[np.ndarray, "N 1 H W"]:
    """Grey levels 0..16 to uint8: round(255 · x / 16), the one tie (x = 8) to the even 128."""
    return np.rint(255 * levels / TOP_LEVEL).astype(np.uint8)[:, None]
