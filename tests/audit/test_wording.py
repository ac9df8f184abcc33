import pytest

from spikeproof.audit.wording import (
    ball,
    bounds,
    epsilon_text,
    estimate,
    flat,
    layer_names,
    percent,
    plain,
    points,
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (percent(0.6149), "61.5 %"),
        (percent(None), "–"),
        (bounds({"low": 0.0, "high": 1.0}), "0.0 to 100.0 %"),
        (epsilon_text(8 / 255), "8/255"),
        (epsilon_text(0.03), "0.03"),
        (estimate({"value": 0.615, "low": 0.546, "high": 0.68}), "61.5 % (54.6 to 68.0)"),
        (points(-4.46), "−4.5"),
        (points(3.0), "+3.0"),
        (plain(0.123456), "0.1235"),
        (plain(-2), "−2"),
        (plain(True), "yes"),
        (plain(None), "–"),
        (plain("a-b"), "a-b"),
    ],
)
def test_numbers_are_written_for_people(text, wanted):
    assert text == wanted


@pytest.mark.parametrize(
    ("norm", "epsilon", "context", "wanted"),
    [
        ("linf", 8 / 255, {}, "±8/255 a pixel"),
        ("linf", 8 / 255, {"frames": {}}, "±8/255 a cell"),
        ("l2", 0.5, {}, "an l2 ball of radius 0.5"),
        ("l0", 1.0, {}, "changes of at most 1 pixel"),
        ("l0", 8.0, {"frames": {}}, "changes of at most 8 pixels"),
    ],
)
def test_ball_is_named_in_the_unit_of_its_norm(norm, epsilon, context, wanted):
    assert ball({"norm": norm, "epsilon": epsilon, "context": context}) == wanted


def test_flat_names_the_way_to_each_value():
    nested = {"a": {"b": 1, "c": [1, 2]}, "d": [{"e": None}]}
    assert flat(nested) == [("a.b", "1"), ("a.c", "1, 2"), ("d[0].e", "–")]


def test_layers_keep_the_order_of_the_longer_side():
    names = {"float": ["a", "b", "x"], "hardware": ["a", "relay", "b", "out"]}
    rates = {side: [{"layer": n, "rate": 0.0} for n in found] for side, found in names.items()}
    assert layer_names(rates) == ["a", "relay", "b", "out", "x"]
