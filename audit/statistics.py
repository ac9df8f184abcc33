"""How sure the numbers are: intervals for shares, for paired differences, and for their ratio."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from ..core.errors import DataError

RESAMPLES = 10_000
SURVIVAL_FLOOR = 0.10
"""Below this lower bound of the float network's robust accuracy a ratio says nothing."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value with its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """How the same samples fared on two models."""

    both: int
    only_float: int
    only_hardware: int
    neither: int

    @property
    def n(self) -> int:
        """All samples."""
        return self.both + self.only_float + self.only_hardware + self.neither


@dataclass(frozen=True, kw_only=True)
class Survival:
    """Robust accuracy on the chip over that of the float network; null with the reason."""

    value: float | None
    low: float | None
    high: float | None
    reason: str | None


def pairs(on_float: Bool[np.ndarray, " N"], on_hardware: Bool[np.ndarray, " N"]) -> Pairs:
    """Counts of a paired comparison.

    Raises:
        DataError: If there are no samples.
    """
    if len(on_float) == 0:
        raise DataError("expected at least one sample, got none; audit more samples")
    return Pairs(
        both=int((on_float & on_hardware).sum()),
        only_float=int((on_float & ~on_hardware).sum()),
        only_hardware=int((~on_float & on_hardware).sum()),
        neither=int((~on_float & ~on_hardware).sum()),
    )


def share(right: Bool[np.ndarray, " N"], *, confidence: float = 0.95) -> Interval:
    """A share of samples with its Wilson score interval (Wilson 1927).

    Raises:
        DataError: If there are no samples.
    """
    if len(right) == 0:
        raise DataError("expected at least one sample, got none; audit more samples")
    return wilson(int(right.sum()), len(right), confidence=confidence)


def wilson(count: int, n: int, *, confidence: float = 0.95) -> Interval:
    """The Wilson score interval of `count` out of `n`."""
    bounds = proportion_confint(count, n, alpha=1 - confidence, method="wilson")
    low, high = (float(bound) for bound in bounds)  # type: ignore[arg-type]
    # Rounding leaves 1e-17 where the bound is exactly 0 or 1.
    return Interval(
        value=count / n,
        low=0.0 if count == 0 else low,
        high=1.0 if count == n else high,
    )


def difference(table: Pairs, *, confidence: float = 0.95) -> Interval:
    """Share on the chip minus share on the float network, of the same samples.

    Newcombe 1998 (Statistics in Medicine 17, 2635), method 10: the Wilson bounds of both shares,
    joined with their correlation. It keeps its level at small n and where nothing differs.

        θ − √(a² − 2φab + b²) .. θ + √(c² − 2φcd + d²)
    """
    chip, flt = table.both + table.only_hardware, table.both + table.only_float
    p, q = (wilson(count, table.n, confidence=confidence) for count in (chip, flt))
    phi = _correlation(table)
    below = _join(p.value - p.low, q.high - q.value, phi)
    above = _join(p.high - p.value, q.value - q.low, phi)
    value = (table.only_hardware - table.only_float) / table.n
    return Interval(value=value, low=value - below, high=value + above)


def mcnemar_exact(table: Pairs) -> float:
    """Two-sided p of McNemar's exact test: are the samples that changed split evenly?"""
    counts = [[table.both, table.only_float], [table.only_hardware, table.neither]]
    return float(mcnemar(counts, exact=True).pvalue)  # type: ignore[attr-defined]


def survival(table: Pairs, *, generator: np.random.Generator, confidence: float = 0.95) -> Survival:
    """Robust accuracy on the chip over that of the float network.

    The interval is the percentile bootstrap over samples. Resampling n samples with replacement is
    one multinomial draw of the four counts. Null where the float network's lower Wilson bound is
    below 10 %: a ratio of two near-zeros.
    """
    flt = wilson(table.both + table.only_float, table.n, confidence=confidence)
    if flt.low < SURVIVAL_FLOOR:
        return Survival(
            value=None,
            low=None,
            high=None,
            reason=f"the float network's robust accuracy may be as low as {100 * flt.low:.1f} %, "
            f"below {100 * SURVIVAL_FLOOR:.0f} %: a ratio would mostly be noise",
        )
    counts = np.array([table.both, table.only_float, table.only_hardware])
    drawn = generator.multinomial(
        table.n, [*(counts / table.n), table.neither / table.n], size=RESAMPLES
    )
    chips, floats = drawn[:, 0] + drawn[:, 2], drawn[:, 0] + drawn[:, 1]
    ratios = chips[floats > 0] / floats[floats > 0]
    tail = (1 - confidence) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail])
    value = (table.both + table.only_hardware) / (table.both + table.only_float)
    return Survival(value=value, low=float(low), high=float(high), reason=None)


def rise(before: Bool[np.ndarray, " N"], after: Bool[np.ndarray, " N"]) -> float:
    """By how many standard errors a share rose on the same samples; 0 where nothing changed."""
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    return (gained - lost) / math.sqrt(gained + lost) if gained + lost else 0.0


def _correlation(table: Pairs) -> float:
    """φ of the 2×2 table, 0 where a margin is empty; Newcombe's correction damps a positive one."""
    a, b, c, d = table.both, table.only_hardware, table.only_float, table.neither
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    if margins == 0:
        return 0.0
    product = a * d - b * c
    if product > 0:
        product = max(product - table.n / 2, 0)
    return product / math.sqrt(margins)


def _join(first: float, second: float, phi: float) -> float:
    return math.sqrt(max(first**2 - 2 * phi * first * second + second**2, 0.0))
