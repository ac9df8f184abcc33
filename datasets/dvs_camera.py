"""A model of an event camera: what its pixels send when the light on them changes."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64, Shaped

from ..core.errors import ConfigError
from .events import make_events

SECOND = 1_000_000
"""Microseconds."""


@dataclass(frozen=True, kw_only=True)
class CameraConfig:
    """Pixels as Lichtsteiner, Posch and Delbruck 2008 describe the DVS128's.

    Args:
        threshold_on, threshold_off: Rise and fall of the log intensity that an event stands for.
            The default gives about 200,000 events for an image of CIFAR-10.
        mismatch: Standard deviation of a pixel's thresholds, as a share of them.
        refractory: Microseconds after an event during which a pixel is held in reset: it sends
            nothing, and then compares with what it sees at their end.
        noise: Events a second and pixel that no change of light caused, ON and OFF alike.

    Raises:
        ConfigError: If a number is out of range.
    """

    threshold_on: float = 0.28
    threshold_off: float = 0.28
    mismatch: float = 0.03
    refractory: int = 500
    noise: float = 0.1

    def __post_init__(self) -> None:
        if not (0.01 <= self.threshold_on <= 10 and 0.01 <= self.threshold_off <= 10):
            raise ConfigError(
                "expected thresholds of 0.01..10 in log intensity, got "
                f"{self.threshold_on} and {self.threshold_off}; 0.28 is 32 % more light"
            )
        if not (0 <= self.mismatch <= 0.2 and 0 <= self.noise <= 1000):
            raise ConfigError(
                f"expected a mismatch of 0..0.2 and 0..1000 noise events a second, got "
                f"{self.mismatch} and {self.noise}; correct them"
            )
        if not 1 <= self.refractory <= SECOND:
            raise ConfigError(
                f"expected a refractory period of 1..{SECOND} us, got {self.refractory}; a pixel "
                "sends one event a microsecond at most"
            )

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


class Camera:
    """Pixels with thresholds of their own, the same for everything that it records.

    Args:
        config: Of its pixels.
        height: Rows of the sensor.
        width: Its columns.
        generator: Draws the mismatch.
    """

    def __init__(
        self, config: CameraConfig, *, height: int, width: int, generator: np.random.Generator
    ) -> None:
        self.config = config
        # No pixel's threshold comes near 0, where it would never stop to send.
        spread = 1 + config.mismatch * generator.standard_normal((2, height * width)).clip(-3, 3)
        self._on, self._off = config.threshold_on * spread[0], config.threshold_off * spread[1]
        self._width = width

    def record(
        self,
        views: Iterable[Float[np.ndarray, "H W"]],
        *,
        interval: int,
        generator: np.random.Generator,
    ) -> Shaped[np.ndarray, " N"]:
        """Events of a moving scene, in order of time.

        Args:
            views: Log intensities on the sensor, the first at time 0 and each `interval`
                microseconds after the one before; in between they change linearly.
            interval: Microseconds.
            generator: Draws the noise.
        """
        signal, duration = self._signal(views, interval)
        noise = self._noise(duration, generator)
        both = [np.concatenate(pair) for pair in zip(signal, noise, strict=True)]
        is_noise = np.arange(len(both[0])) >= len(signal[0])
        kept = self._apart(both[0], both[1], is_noise)
        t, pixel, polarity = (each[kept] for each in both)
        order = np.argsort(t * len(self._on) + pixel)
        y, x = np.divmod(pixel[order], self._width)
        return make_events(t[order], x, y, polarity[order])

    def _signal(
        self, views: Iterable[Float[np.ndarray, "H W"]], interval: int
    ) -> tuple[tuple[np.ndarray, ...], int]:
        """Times, pixels and polarities of what changes, and how long the scene is."""
        flat: Iterator[np.ndarray] = (np.asarray(view, np.float64).ravel() for view in views)
        before = next(flat)
        pixels = _Pixels(before, self._on, self._off, refractory=self.config.refractory)
        found, start = [], 0
        for after in flat:
            found += pixels.between(before, after, start=start, interval=interval)
            before, start = after, start + interval
        empty = (np.empty(0, np.int64),) * 3
        columns = zip(*found, strict=True) if found else ((each,) for each in empty)
        return tuple(np.concatenate(column) for column in columns), start

    def _noise(self, duration: int, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
        pixels = len(self._on)
        count = generator.poisson(self.config.noise * pixels * duration / SECOND)
        return (
            generator.integers(0, max(duration, 1), count),
            generator.integers(0, pixels, count),
            generator.integers(0, 2, count),
        )

    def _apart(
        self,
        t: Int64[np.ndarray, " N"],
        pixel: Int64[np.ndarray, " N"],
        is_noise: Bool[np.ndarray, " N"],
    ) -> Bool[np.ndarray, " N"]:
        """All events but noise that is too near to another event of its pixel."""
        order = np.argsort(pixel * (int(t.max(initial=0)) + 1) + t)
        near = np.zeros(len(t) + 1, dtype=bool)
        same = np.diff(pixel[order]) == 0
        near[1:-1] = same & (np.diff(t[order]) < self.config.refractory)
        is_near = np.empty(len(t), dtype=bool)
        is_near[order] = near[:-1] | near[1:]
        return ~(is_near & is_noise)


class _Pixels:
    """What pixels remember: the level that each compares with, and until when it rests."""

    def __init__(
        self,
        level: Float[np.ndarray, " P"],
        on: Float[np.ndarray, " P"],
        off: Float[np.ndarray, " P"],
        *,
        refractory: int,
    ) -> None:
        self._on, self._off, self._refractory = on, off, refractory
        self._reference = level.copy()
        self._rests = np.zeros(len(level), dtype=bool)
        self._until = np.zeros(len(level), dtype=np.int64)

    def between(
        self,
        before: Float[np.ndarray, " P"],
        after: Float[np.ndarray, " P"],
        *,
        start: int,
        interval: int,
    ) -> list[tuple[np.ndarray, ...]]:
        """Times, pixels and polarities while levels go linearly from `before` to `after`.

        A pixel fires where |L(t) - reference| reaches its threshold.
        """
        slope, end, found = (after - before) / interval, start + interval, []
        at = np.flatnonzero(~self._rests | (self._until <= end))
        while len(at):
            woken = at[self._rests[at]]
            self._reference[woken] = before[woken] + slope[woken] * (self._until[woken] - start)
            self._rests[woken] = False
            change = after[at] - self._reference[at]
            rises = change >= self._on[at]
            fires = rises | (change <= -self._off[at])
            at, is_on = at[fires], rises[fires]
            step = np.where(is_on, self._on[at], -self._off[at])
            reached = np.ceil((self._reference[at] + step - before[at]) / slope[at])
            t = np.minimum(start + reached.astype(np.int64), end)
            self._rests[at], self._until[at] = True, t + self._refractory
            found.append((t, at, is_on.astype(np.int64)))
            # Only who is awake again before the end can fire once more.
            at = at[self._until[at] <= end]
        return found
