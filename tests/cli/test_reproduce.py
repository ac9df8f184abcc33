"""`spikeproof reproduce`: refusals in one line; what it measures is tested in `tests/reproduce`."""

import pytest

from spikeproof.reproduce.targets import TARGETS


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("table5",), "expected a target among table1, table2, "),
        (("table1", "--scale", "huge"), "expected a scale among full, subset, smoke, got 'huge'"),
        (("table2",), "expected recordings for table2, got the images of 'digits'"),
        (("fig1", "--data", "nmnist:x"), "expected images for fig1, got the recordings of"),
        (("table1", "--engine", "cloud"), "expected an engine among local, ray, got 'cloud'"),
    ],
)
def test_what_cannot_be_reproduced_ends_with_two_and_one_line(spikeproof, tmp_path, words, message):
    data = () if "--data" in words else ("--data", "digits")
    done = spikeproof("reproduce", *words, *data, "--out", tmp_path / "out")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"spikeproof: {message}")
    assert done.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_help_shows_an_example_and_every_option(spikeproof, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    done = spikeproof("reproduce", "--help")
    assert "Example: spikeproof reproduce table3" in done.out
    options = (
        "--scale",
        "--data",
        "--out",
        "--resume",
        "--shards",
        "--engine",
        "--seed",
        "--device",
    )
    assert all(option in done.out for option in options)
    assert "table1" in done.out
    assert len(TARGETS) == 12
