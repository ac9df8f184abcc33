import math
from dataclasses import replace

import pytest

from spikeproof.analysis.cost import cost
from spikeproof.analysis.sweep import SweepConfig, sweep
from spikeproof.core.errors import ConfigError
from spikeproof.datasets.images import load
from spikeproof.train.config import change
from spikeproof.train.presets import preset


@pytest.fixture(scope="module")
def data():
    return load("digits", limit=300)


def recipe(method, **changes):
    quick = {"epochs": 3, "validation_steps": 1, "widths": "6,8", "steps": 4}
    return change(preset(f"digits-{method}"), quick | changes)


def test_larger_weights_flatten_the_gradient(data, tmp_path):
    config = SweepConfig(weights=(0.0, 0.5), samples=100, steps=3)
    rows = sweep(config, recipe("sr"), data, tmp_path)
    assert [row["penalty_weight"] for row in rows] == [0.0, 0.5]
    assert rows[1]["l1"] < 0.5 * rows[0]["l1"]
    assert rows[0]["accuracy"] > 0.5
    assert all(0 <= row["robust_accuracy"] <= row["accuracy"] for row in rows)
    assert {path.name for path in tmp_path.iterdir()} == {"lambda-0", "lambda-0.5"}


def test_finished_sweep_is_measured_again_without_training(data, tmp_path):
    config = SweepConfig(weights=(0.1,), samples=50, steps=2)
    small = recipe("sr", epochs=1)
    first = sweep(config, small, data, tmp_path)
    before = (tmp_path / "lambda-0.1" / "last.safetensors").stat().st_mtime_ns
    assert sweep(config, small, data, tmp_path) == first
    assert (tmp_path / "lambda-0.1" / "last.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "weights", [(), (0.1, 0.1), (0.1, 0.1 + 1e-9), (-0.1,), (math.nan,), (math.inf,)]
)
def test_impossible_weights_are_refused(weights):
    with pytest.raises(ConfigError, match="expected different weights >= 0, got"):
        SweepConfig(weights=weights)


@pytest.mark.parametrize("epsilon", [-0.1, 1.5, 0.001, math.nan])
def test_impossible_radii_are_refused_before_training(epsilon):
    with pytest.raises(ConfigError, match="expected epsilon"):
        SweepConfig(weights=(0.1,), epsilon=epsilon)


def test_methods_without_a_weight_are_refused(data, tmp_path):
    with pytest.raises(ConfigError, match="expected a method with a weight λ, got 'at'"):
        sweep(SweepConfig(weights=(0.1,)), recipe("at"), data, tmp_path)


def test_cost_compares_with_the_first(data):
    recipes = {name: recipe(name) for name in ("vanilla", "at")}
    recipes["at"] = replace(recipes["at"], train=replace(recipes["at"].train, attack_steps=8))
    rows = cost(recipes, data.first(100))
    assert [row["method"] for row in rows] == ["vanilla", "at"]
    assert rows[0]["relative"] == 1.0
    assert rows[1]["relative"] == pytest.approx(
        rows[1]["seconds_per_epoch"] / rows[0]["seconds_per_epoch"]
    )
    assert rows[1]["relative"] > 1.5


def test_cost_of_nothing_is_refused(data):
    with pytest.raises(ConfigError, match="expected at least one method, got none"):
        cost({}, data)


def test_cost_needs_an_epoch_to_warm_up():
    with pytest.raises(ConfigError, match="expected at least 2 epochs, got 1; the first one warms"):
        cost({"vanilla": preset("digits-vanilla")}, load("digits", limit=20), epochs=1)
