"""The table of gradient estimators."""

import pytest

from spikeproof.core.errors import ConfigError
from spikeproof.sim.estimators import ESTIMATORS, TRAINING, Estimator, estimator
from spikeproof.sim.surrogate import ArcTangent, Sigmoid, Surrogate, Triangle


def test_the_table_holds_the_published_four_by_name():
    assert list(ESTIMATORS) == ["triangle", "sigmoid", "arctan", "rga"]
    assert all(name == each.name for name, each in ESTIMATORS.items())


@pytest.mark.parametrize(
    ("name", "shape"),
    [("triangle", Triangle(1.0)), ("sigmoid", Sigmoid(4.0)), ("arctan", ArcTangent(2.0))],
)
def test_surrogates_have_the_published_widths_and_an_attached_reset(name, shape):
    assert estimator(name) == Surrogate(name=name, shape=shape, reset="attached")


def test_every_entry_is_an_estimator():
    assert all(isinstance(each, Estimator) for each in ESTIMATORS.values())
    assert TRAINING in ESTIMATORS


def test_unknown_names_are_refused():
    message = r"expected a gradient estimator among triangle, sigmoid, arctan, rga, got 'exact';"
    with pytest.raises(ConfigError, match=message):
        estimator("exact")
