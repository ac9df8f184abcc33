"""How sure the numbers are: intervals for shares, for paired differences, and for their ratio."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import binom, t
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from ..core.errors import DataError

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


def mean_of(
    values: Float[np.ndarray, " n"],
    *,
    confidence: float = 0.95,
    within: tuple[float, float] = (-math.inf, math.inf),
) -> Interval:
    """A mean with Student's t interval, cut to what values can be.

    Raises:
        DataError: If there are fewer than two values, which say nothing of their spread.
    """
    if len(values) < 2:
        raise DataError(f"expected at least two values of a mean, got {len(values)}; give more")
    value, error = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values))
    reach = error * float(t.ppf((1 + confidence) / 2, len(values) - 1))
    low, high = within
    return Interval(value=value, low=max(low, value - reach), high=min(high, value + reach))


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


def survival(table: Pairs, *, confidence: float = 0.95) -> Survival:
    """Robust accuracy on the chip over that of the float network.

    Donner and Zou 2012 (Statistical Methods in Medical Research 21, 347), MOVER-R: the Wilson
    bounds of both shares, joined with their correlation. Unlike a bootstrap it keeps its width
    where no sample differs. Null where the float network's lower Wilson bound is below 10 %: a
    ratio of two near-zeros.

        low = (A − √(A² − l₁(2p − l₁)·u₂(2q − u₂))) / (u₂(2q − u₂)),  A = pq − φ(p − l₁)(u₂ − q)
    """
    chip = wilson(table.both + table.only_hardware, table.n, confidence=confidence)
    flt = wilson(table.both + table.only_float, table.n, confidence=confidence)
    if flt.low < SURVIVAL_FLOOR:
        return Survival(
            value=None,
            low=None,
            high=None,
            reason=f"the float network's robust accuracy may be as low as {100 * flt.low:.1f} %, "
            f"below {100 * SURVIVAL_FLOOR:.0f} %: a ratio would mostly be noise",
        )
    phi = _correlation(table)
    return Survival(
        value=chip.value / flt.value,
        low=_ratio_bound(chip.value, chip.low, flt.value, flt.high, phi, sign=-1),
        high=_ratio_bound(chip.value, chip.high, flt.value, flt.low, phi, sign=1),
        reason=None,
    )


def _ratio_bound(p: float, p_end: float, q: float, q_end: float, phi: float, *, sign: int) -> float:
    """One end of MOVER-R for p/q, from the ends of both intervals that it depends on."""
    joint = p * q - phi * abs(p - p_end) * abs(q_end - q)
    scale = q_end * (2 * q - q_end)
    inside = joint**2 - p_end * (2 * p - p_end) * scale
    return max(0.0, (joint + sign * math.sqrt(max(inside, 0.0))) / scale)


def rise(before: Bool[np.ndarray, " N"], after: Bool[np.ndarray, " N"]) -> tuple[float, float]:
    """By how much a share rose on the same samples, and McNemar's exact one-sided p of that.

    Args:
        before: Which samples counted at first.
        after: Which of the same count now.
    """
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    return (gained - lost) / len(before), tail(gained, gained + lost, 0.5)


def exceeds(happened: Bool[np.ndarray, " N"], threshold: float) -> float:
    """Exact binomial p of as many events or more, were `threshold` their probability."""
    return tail(int(happened.sum()), len(happened), threshold)


def tail(count: int, n: int, probability: float) -> float:
    """P(X >= count) of a binomial X."""
    return float(binom.sf(count - 1, n, probability))


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
