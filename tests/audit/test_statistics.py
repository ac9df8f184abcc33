import itertools
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeproof.audit.statistics import (
    Pairs,
    difference,
    exceeds,
    mcnemar_exact,
    pairs,
    rise,
    share,
    survival,
    wilson,
)
from spikeproof.core.errors import DataError

counts = st.integers(0, 40)


def table(both, only_float, only_hardware, neither):
    return Pairs(both=both, only_float=only_float, only_hardware=only_hardware, neither=neither)


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [
        # By hand, z = 1.959964: (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n).
        (0, 10, 0.0, 0.2775328),
        (10, 10, 0.7224672, 1.0),
        (5, 10, 0.2365931, 0.7634069),
        (81, 263, 0.2552888, 0.3662098),
    ],
)
def test_wilson_equals_values_by_hand(count, n, low, high):
    found = wilson(count, n)
    assert (found.value, found.low, found.high) == pytest.approx((count / n, low, high), abs=1e-6)


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_its_value(case):
    found = wilson(*case)
    assert 0 <= found.low <= found.value <= found.high <= 1


@pytest.mark.parametrize(
    ("pair", "low", "high"),
    [
        # Fagerland, Lydersen & Laake 2014, table 3: airway hyper-responsiveness.
        (table(1, 7, 1, 12), -0.507, -0.026),
    ],
)
def test_difference_equals_published_values(pair, low, high):
    found = difference(pair)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-3)


@given(counts, counts, counts, st.integers(1, 40))
def test_difference_changes_sign_with_the_sides(a, b, c, d):
    one, two = difference(table(a, b, c, d)), difference(table(a, c, b, d))
    assert (one.value, one.low, one.high) == pytest.approx((-two.value, -two.high, -two.low))
    assert -1 <= one.low <= one.value <= one.high <= 1


def test_difference_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    truth = [0.5, 0.2, 0.1, 0.2]
    drawn = rng.multinomial(40, truth, size=1000)
    found = [difference(table(*(int(x) for x in row))) for row in drawn]
    covered = np.mean([i.low <= truth[2] - truth[1] <= i.high for i in found])
    assert 0.93 <= covered <= 0.98


def test_mcnemar_equals_the_binomial_sum():
    # Two-sided binomial over 9 changed samples, at most 2 on the rarer side: 2·(1 + 9 + 36)/2⁹.
    assert mcnemar_exact(table(5, 7, 2, 5)) == pytest.approx(2 * 46 / 512)


def test_mcnemar_of_no_change_is_one():
    assert mcnemar_exact(table(5, 0, 0, 5)) == 1.0


def test_pairs_count_each_sample_once():
    cases = np.array(list(itertools.product([True, False], repeat=2)) * 3)
    assert pairs(cases[:, 0], cases[:, 1]) == table(3, 3, 3, 3)


def test_survival_is_the_ratio_with_a_paired_interval():
    found = survival(table(60, 20, 5, 15))
    assert found.value == pytest.approx(65 / 80)
    # A bootstrap of the same table gives 0.70 to 0.92; both are approximate.
    assert found.low == pytest.approx(0.70, abs=0.03)
    assert found.high == pytest.approx(0.92, abs=0.03)


def test_survival_stays_uncertain_where_few_samples_agree():
    found = survival(table(18, 0, 0, 6))
    assert found.value == 1.0
    assert found.low is not None
    assert found.low < 0.97


@pytest.mark.parametrize(("robust", "is_given"), [(15, False), (16, True)])
def test_survival_is_null_below_ten_percent(robust, is_given):
    assert (wilson(robust, 100).low >= 0.1) is is_given
    found = survival(table(robust, 0, 0, 100 - robust))
    assert (found.value is not None) is is_given
    assert (found.reason is None) is is_given


def test_survival_says_why_it_is_null():
    found = survival(table(0, 0, 3, 97))
    assert found.reason is not None
    assert "as low as 0.0 %, below 10 %" in found.reason


def test_rise_counts_changed_samples_only():
    before, after = np.array([True] * 6 + [False] * 9), np.array([False] * 5 + [True] * 10)
    chance = sum(comb(14, k) for k in range(9, 15)) / 2**14
    assert rise(before, after) == pytest.approx((4 / 15, chance))
    assert rise(before, before) == (0.0, 1.0)


def test_exceeds_is_the_binomial_tail():
    happened = np.arange(20) < 3
    chance = 1 - sum(comb(20, k) * 0.05**k * 0.95 ** (20 - k) for k in range(3))
    assert exceeds(happened, 0.05) == pytest.approx(chance)
    assert exceeds(np.zeros(20, dtype=bool), 0.05) == 1.0


@pytest.mark.parametrize("compute", [share, lambda none: pairs(none, none)])
def test_no_samples_are_refused(compute):
    with pytest.raises(DataError, match="at least one sample, got none"):
        compute(np.zeros(0, dtype=bool))
