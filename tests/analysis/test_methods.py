import json

import pytest

from spikeproof.analysis.methods import COLUMNS, MethodsConfig, compare_methods, orders, table
from spikeproof.core.errors import ConfigError
from spikeproof.datasets.images import load
from spikeproof.train.config import change
from spikeproof.train.presets import preset

CONFIG = MethodsConfig(seeds=(0, 1), samples=60, epsilon=0.1, noise=0.2)


@pytest.fixture(scope="module")
def data():
    return load("digits", limit=300)


@pytest.fixture(scope="module")
def recipes():
    quick = {"epochs": 2, "validation_steps": 1, "widths": "6,8", "steps": 4}
    return {name: change(preset(f"digits-{name}"), quick) for name in ("vanilla", "sr")}


@pytest.fixture(scope="module")
def compared(data, recipes, tmp_path_factory):
    out = tmp_path_factory.mktemp("methods")
    return compare_methods(CONFIG, recipes, data, out), out


def test_every_method_is_trained_with_every_seed(compared):
    rows, out = compared
    found = [(row["name"], row["method"], row["seed"]) for row in rows]
    assert found == [(name, name, seed) for name in ("vanilla", "sr") for seed in (0, 1)]
    seeds = [
        json.loads((out / f"sr-seed{seed}" / "config.json").read_text())["train"]["seed"]
        for seed in (0, 1)
    ]
    assert seeds == [0, 1]


def test_attacks_only_take_samples_away(compared):
    for row in compared[0]:
        assert row["samples"] == 60
        assert 60 >= row["clean"] >= max(row[column] for column in COLUMNS)
        assert row["clean"] > 30
    assert any(row["pgd10"] < row["clean"] for row in compared[0])


def test_measured_networks_are_kept_until_something_changes(compared, data, recipes, monkeypatch):
    rows, out = compared
    calls = []
    monkeypatch.setattr(
        "spikeproof.analysis.methods._counts",
        lambda *_: calls.append(1) or dict.fromkeys(COLUMNS, 7),
    )
    assert compare_methods(CONFIG, recipes, data, out) == rows
    assert calls == []
    other = MethodsConfig(seeds=(0,), samples=50, epsilon=0.1, noise=0.2)
    changed = compare_methods(other, {"sr": recipes["sr"]}, data, out)
    assert ([row["pgd10"] for row in changed], calls) == ([7], [1])


def row(name, seed, pgd10):
    shared = {"samples": 100, "clean": 80, "noise": 70, "fgsm": 60}
    return {"name": name, "method": name, "seed": seed, **shared, "pgd10": pgd10}


ROWS = [row("at", 0, 30), row("at", 1, 50), row("sr", 0, 40), row("sr", 1, 45)]


def test_table_shows_the_mean_and_every_seed():
    lines = table(ROWS).splitlines()
    assert lines[0] == "| trained with | clean | noise | fgsm | pgd10 |"
    assert lines[2].endswith("| 60.0 (60.0, 60.0) | 40.0 (30.0, 50.0) |")
    assert lines[-1] == "One network's share is known to ±9.6 points."


def test_order_is_told_for_each_seed():
    assert orders(ROWS, column="pgd10") == {0: ["sr", "at"], 1: ["at", "sr"]}


@pytest.mark.parametrize("seeds", [(), (1, 1), (-1,)])
def test_impossible_seeds_are_refused(seeds):
    with pytest.raises(ConfigError, match="expected different seeds of 0 or more, got"):
        MethodsConfig(seeds=seeds)


@pytest.mark.parametrize("radii", [{"epsilon": 5.0}, {"noise": -1.0}, {"epsilon": 0.001}])
def test_impossible_radii_are_refused_before_training(radii):
    with pytest.raises(ConfigError, match="expected epsilon"):
        MethodsConfig(seeds=(0,), **radii)


def test_no_method_is_refused(data, tmp_path):
    with pytest.raises(ConfigError, match="expected at least one preset, got none"):
        compare_methods(CONFIG, {}, data, tmp_path)
