"""Two recordings side by side: counts and the first difference of every layer."""

import pytest

from spikeproof.core.errors import DataError
from spikeproof.sim.difference import differences, first_of, traces

LAYERS = ("a", "b")


def recorded(rng):
    """Spikes and u of two layers, 4 steps, 3 samples."""
    shapes = {"s0": (2, 3, 3), "u0": (2, 3, 3), "s1": (5,), "u1": (5,)}
    return {key: rng.integers(0, 2, (4, 3, *shape)) for key, shape in shapes.items()}


@pytest.fixture
def pair(rng):
    one = recorded(rng)
    return one, {key: array.copy() for key, array in one.items()}


def found(one, other):
    return differences(traces(one, other, LAYERS), names=("twin", "float"))


def test_equal_recordings_do_not_differ(pair):
    report = found(*pair)
    assert [(each.layer, each.quantity) for each in report] == [
        *(("a", "spike"), ("a", "u")),
        *(("b", "spike"), ("b", "u")),
    ]
    assert {each.differences for each in report} == {0}
    assert first_of(report) is None


def test_each_layer_tells_its_count_and_its_first_difference(pair):
    one, other = pair
    other["u1"][2, 1, 4] += 9
    other["u1"][3, 0] += 1
    other["s1"][3, 2, 0] ^= 1
    report = found(one, other)
    assert [each.differences for each in report] == [0, 0, 1, 6]
    first = report[3].first
    assert first is not None
    assert (first.sample, first.step, first.neuron) == (1, 3, (4,))
    assert first.values == (one["u1"][2, 1, 4], one["u1"][2, 1, 4] + 9)


def test_a_difference_reads_as_a_sentence(pair):
    one, other = pair
    one["s0"][1, 2, 1, 0, 2], other["s0"][1, 2, 1, 0, 2] = 0, 1
    line = "spike of layer 'a', sample 2, step 2, neuron (1, 0, 2): twin 0, float 1"
    assert str(first_of(found(one, other))) == line


def test_recordings_of_different_shapes_are_refused(pair):
    one, other = pair
    other["s1"] = other["s1"][:3]
    with pytest.raises(DataError, match=r"one shape, got \[4, 3, 5\] by twin and \[3, 3, 5\] by"):
        found(one, other)


def test_what_only_one_side_recorded_is_left_out(pair):
    one, other = pair
    del other["u0"], other["u1"]
    assert [each.quantity for each in found(one, other)] == ["spike", "spike"]
