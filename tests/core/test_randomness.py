import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeproof.core.randomness import generator

PURPOSE = st.lists(st.integers(-(2**70), 2**70) | st.text(min_size=1, max_size=8), max_size=5)


def draws(seed, *purpose):
    return generator(seed, *purpose).integers(0, 2**63, 4).tolist()


@given(seed=st.integers(0, 2**32 - 1), purpose=PURPOSE)
def test_generator_repeats_for_the_same_purpose(seed, purpose):
    assert draws(seed, *purpose) == draws(seed, *purpose)


@pytest.mark.parametrize(
    "other",
    [(1, "pgd", 0, 3), (0, "apgd", 0, 3), (0, "pgd", 1, 3), (0, "pgd", 0, 4), (0, "pgd", 3, 0)],
)
def test_generator_differs_for_another_seed_or_purpose(other):
    assert draws(*other) != draws(0, "pgd", 0, 3)


@given(one=PURPOSE, other=PURPOSE)
def test_generator_tells_all_purposes_apart(one, other):
    assert (draws(0, *one) == draws(0, *other)) == (one == other)


@pytest.mark.parametrize("other", [(0, 7, 0), (0, 7, 0, 0), (0, "7")])
def test_generator_tells_purposes_of_another_length_or_kind_apart(other):
    assert draws(*other) != draws(0, 7)


def test_generator_takes_numpy_integers():
    assert draws(0, "split", np.int64(3)) == draws(0, "split", 3)


def test_generator_draws_of_neighbouring_samples_are_uncorrelated():
    noise = np.array([generator(0, "pgd", sample).standard_normal(500) for sample in range(20)])
    correlation = np.corrcoef(noise) - np.eye(20)
    assert np.abs(correlation).max() < 0.25


def test_generator_leaves_the_global_state_alone():
    np.random.seed(0)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    generator(5, "split").random(10)
    assert np.random.random() == expected  # noqa: NPY002
