"""Statistics of training images on the uint8 lattice.

A network sees `(round(255·x) − m_c) / s_c`: an integer payload first, so that zero padding is exact
on a chip, then a factor that goes into the weights.
"""

import numpy as np
from jaxtyping import Int64, UInt8

from ..core.errors import DataError

LEVELS = 256
CHUNK_IMAGES = 1024


def lattice_mean(images: UInt8[np.ndarray, "N C H W"]) -> tuple[int, ...]:
    """The mean of each channel, rounded to an integer (a half goes up), in lattice steps 0..255.

    Raises:
        DataError: If there are no images.
    """
    means = []
    for histogram in _histograms(images):
        count, total, _ = _moments(histogram)
        means.append((2 * total + count) // (2 * count))
    return tuple(means)


def channel_std(images: UInt8[np.ndarray, "N C H W"]) -> tuple[float, ...]:
    """The standard deviation of each channel around its exact mean, in lattice steps.

        s² = (n·Σx² − (Σx)²) / n²

    The numerator is exact in integers. Divide by 255 for input units.

    Raises:
        DataError: If there are no images, or a channel has one value everywhere.
    """
    deviations = []
    for channel, histogram in enumerate(_histograms(images)):
        count, total, squares = _moments(histogram)
        spread = count * squares - total * total
        if spread == 0:
            raise DataError(
                f"expected channel {channel} to vary, got {total // count} in every pixel; "
                "drop the channel"
            )
        deviations.append(float(np.sqrt(spread) / count))
    return tuple(deviations)


def _histograms(images: UInt8[np.ndarray, "N C H W"]) -> Int64[np.ndarray, "C 256"]:
    """How often each channel has each value; chunks keep the int64 copies small."""
    if images.size == 0:
        raise DataError(f"expected images, got none in shape {list(images.shape)}; load some")
    counts = np.zeros((images.shape[1], LEVELS), np.int64)
    for start in range(0, len(images), CHUNK_IMAGES):
        chunk = images[start : start + CHUNK_IMAGES]
        for channel in range(images.shape[1]):
            counts[channel] += np.bincount(chunk[:, channel].ravel(), minlength=LEVELS)
    return counts


def _moments(histogram: Int64[np.ndarray, " 256"]) -> tuple[int, int, int]:
    """`(n, Σx, Σx²)` as Python integers, which cannot overflow."""
    values = np.arange(LEVELS, dtype=np.int64)
    return (
        int(histogram.sum()),
        int((histogram * values).sum()),
        int((histogram * values * values).sum()),
    )
