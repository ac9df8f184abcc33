"""An image that moves on a screen before a camera, as the makers of CIFAR10-DVS moved theirs."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, cast

import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import zoom

from ..core.errors import ConfigError, DataError

SCREEN = 512
"""Rows and columns of the image on the screen."""
SIDE = 10
"""Screen pixels, right or left and up or down, of each of the four sides of the path."""
INTERVAL = 5_000
"""Microseconds for one screen pixel: 200 a second, and 200 ms for the path."""
CORNERS = ((0, 0), (SIDE, -SIDE), (2 * SIDE, 0), (SIDE, SIDE))
"""The path's corners, columns to the right and rows down: four sides at 45 degrees, then again."""

GAMMA = 2.2
BLACK = 0.02
"""Light of a black pixel, as a share of a white one's: what a screen cannot hold back."""
LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue (ITU-R BT.601)."""


@dataclass(frozen=True, kw_only=True)
class MotionConfig:
    """How long an image moves: `loops` times around the closed path, 0.2 s each.

    Raises:
        ConfigError: If there is no loop, or more than a minute of them.
    """

    loops: int = 6

    def __post_init__(self) -> None:
        if not 1 <= self.loops <= 300:
            raise ConfigError(f"expected 1..300 loops, got {self.loops}; six are CIFAR10-DVS's")

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


def path() -> list[tuple[int, int]]:
    """Places of one loop, a screen pixel apart in both directions, as (right, down)."""
    ends = (*CORNERS[1:], CORNERS[0])
    return [
        (x0 + (x1 - x0) * k // SIDE, y0 + (y1 - y0) * k // SIDE)
        for (x0, y0), (x1, y1) in zip(CORNERS, ends, strict=True)
        for k in range(SIDE)
    ]


def views(
    image: UInt8[np.ndarray, "C H W"], config: MotionConfig, *, size: int
) -> Iterator[Float[np.ndarray, "size size"]]:
    """Log intensities on a square sensor, every `INTERVAL` of a repeated closed-loop movement.

    The path of Li et al. 2017 ("CIFAR10-DVS: An Event-Stream Dataset for Object Classification",
    Frontiers in Neuroscience 11:309): enlarged to 512x512 by bicubic interpolation, the image goes
    along four sides at 45 degrees and begins again, smoothly. A sensor's pixel sees the mean light
    of the screen's pixels before it:

        L = ln(BLACK + (grey / 255)^GAMMA)

    Beside the image the screen continues its border, which gives no events of its own. A sensor
    sees it turned by 180 degrees, as the published addresses have it.

    Args:
        image: One or three channels.
        config: How long it moves.
        size: Rows and columns of the sensor, a divisor of 512.

    Raises:
        DataError: If the image has another number of channels.
    """
    reach, each = 2 * SIDE, SCREEN // size
    levels = np.log(_means(np.pad(_light(_grey(image)), reach, mode="edge"), each))

    def seen(right: int, down: int) -> np.ndarray:
        rows, columns = (slice(reach - n, reach - n + SCREEN, each) for n in (down, right))
        return levels[rows, columns][::-1, ::-1]

    once = [seen(right, down) for right, down in path()]
    return chain(*([once] * config.loops), once[:1])


def _means(light: Float[np.ndarray, "H W"], side: int) -> Float[np.ndarray, "H2 W2"]:
    """Means of all squares of `side` screen pixels, from sums over everything before each."""
    sums = np.pad(light, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    high, low = slice(side, None), slice(None, -side)
    inside = sums[high, high] - sums[high, low] - sums[low, high] + sums[low, low]
    # Rounding must not bring the light below what is always there.
    return (inside / side**2).clip(min=BLACK)


def _grey(image: UInt8[np.ndarray, "C H W"]) -> Float[np.ndarray, "H W"]:
    if len(image) not in (1, len(LUMA)):
        raise DataError(
            f"expected an image of 1 or 3 channels, got {len(image)}; a screen shows grey or colour"
        )
    weights = LUMA if len(image) == len(LUMA) else np.ones(1)
    return np.tensordot(weights, image.astype(np.float64), axes=1)


def _light(grey: Float[np.ndarray, "H W"]) -> Float[np.ndarray, "S S"]:
    factors = [SCREEN / side for side in grey.shape]
    large = cast(np.ndarray, zoom(grey, factors, order=3, mode="nearest", grid_mode=True))
    return BLACK + (large.clip(0, 255) / 255) ** GAMMA
