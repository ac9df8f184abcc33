"""The table of gradient estimators."""

from dataclasses import replace

import pytest

from spikeproof.core.errors import ConfigError
from spikeproof.sim.gradients.estimators import (
    DETACHED,
    ESTIMATORS,
    PUBLISHED,
    SHAPES,
    SWEEP,
    TRAINING,
    Estimator,
    estimator,
)
from spikeproof.sim.gradients.surrogate import ArcTangent, Sigmoid, Surrogate, Triangle


def test_the_table_holds_every_estimator_by_name():
    assert set(PUBLISHED) <= set(ESTIMATORS)
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
    message = r"expected a gradient estimator among triangle, sigmoid, .*, got 'exact';"
    with pytest.raises(ConfigError, match=message):
        estimator("exact")


@pytest.mark.parametrize("name", SHAPES)
def test_the_reset_is_part_of_an_estimator(name):
    attached, detached = estimator(name), estimator(f"{name}{DETACHED}")
    assert isinstance(attached, Surrogate)
    assert (attached.reset, detached) == (
        "attached",
        replace(attached, name=detached.name, reset="detached"),
    )


def test_swept_widths_are_those_of_table_6():
    shapes = [each.shape for each in SWEEP.values() if isinstance(each, Surrogate)]
    widths = [shape.width for shape in shapes if isinstance(shape, Triangle)]
    assert widths == [k / 10 for k in range(1, 31)]
    assert all(estimator(name) == each == SWEEP[each.name] for name, each in SWEEP.items())
