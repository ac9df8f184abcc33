"""Whole reproductions at a scale of seconds."""

import json

import pytest

from spikeproof.reproduce import store
from spikeproof.reproduce.run import ReproduceConfig, run


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("reproduced")


def numbers(result):
    return {(cell.found.row, cell.found.column): cell.found for cell in result.cells}


@pytest.fixture
def noise(tiny, out):
    return numbers(run(ReproduceConfig(target="table4", scale=tiny), out))


def test_float_and_chip_are_measured_on_all_samples(noise):
    assert list(noise) == [(row, "noise 0.1") for row in ("vanilla", "SR", "SR*")]
    for found in noise.values():
        for number in (found.on_float, found.on_chip):
            assert number.value * 5 / 100 == pytest.approx(round(number.value * 5 / 100))
            assert 0 <= number.low <= number.value <= number.high <= 100


def test_what_was_measured_and_trained_is_taken_again(noise, tiny, out, monkeypatch):
    monkeypatch.setattr(store, "deploy", None)
    kept = sorted((out / "parts").iterdir())
    assert len(kept) == 6
    part = json.loads(kept[0].read_text())
    kept[0].write_text(json.dumps({**part, "found": {"found": 5}}))
    asked = ReproduceConfig(target="table4", scale=tiny, resume=True)
    found = [n for f in numbers(run(asked, out)).values() for n in (f.on_float, f.on_chip)]
    assert 100.0 in [number.value for number in found if number is not None]
    again = numbers(run(ReproduceConfig(target="table4", scale=tiny), out))
    assert again == noise


@pytest.mark.slow
def test_wider_ensembles_leave_no_more(tiny, out):
    found = numbers(run(ReproduceConfig(target="table6", scale=tiny), out))
    for row in ("RAT", "AT", "SR*"):
        alone, four, thirty = (f for (name, _), f in found.items() if name == row)
        for side in ("on_float", "on_chip"):
            assert getattr(four, side).value <= getattr(alone, side).value
            assert getattr(thirty, side).value <= getattr(alone, side).value


def test_gradients_of_float_and_chip_are_drawn(tiny, out):
    result = run(ReproduceConfig(target="fig5", scale=tiny), out)
    shares = [found.on_chip.value for found in numbers(result).values() if found.on_chip]
    assert len(shares) == 2
    assert all(0 < share <= 100 for share in shares)
    assert "<image" in (out / "fig5.svg").read_text()


def test_result_lists_the_networks_that_it_is_about(tiny, out):
    found = run(ReproduceConfig(target="fig5", scale=tiny), out).to_dict()["networks"]
    assert sorted(config["train"]["method"] for config in found.values()) == ["sr", "vanilla"]
