import json

import pytest
from matplotlib.figure import Figure

from spikeproof.analysis.results import write_results
from spikeproof.core.errors import ConfigError


def figure():
    made = Figure()
    made.subplots().plot([1, 2, 3])
    return made


@pytest.mark.parametrize(("kind", "begin"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_results_are_numbers_and_a_figure(tmp_path, kind, begin):
    table, picture = write_results(
        tmp_path, "norms", {"a": 1}, figure(), seed=5, figure_format=kind
    )
    read = json.loads(table.read_text())
    assert (read["a"], read["seed"]) == (1, 5)
    assert {"torch", "spikeproof"} <= set(read["versions"])
    assert picture.read_bytes().startswith(begin)
    assert {path.name for path in tmp_path.iterdir()} == {"norms.json", f"norms.{kind}"}


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_equal_results_are_equal_bytes(tmp_path, kind):
    for name in ("a", "b"):
        write_results(tmp_path / name, "x", {}, figure(), seed=0, figure_format=kind)
    first, second = ((tmp_path / name / f"x.{kind}").read_bytes() for name in ("a", "b"))
    assert first == second


def test_unknown_formats_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigError, match="expected a figure as svg or png, got 'pdf'"):
        write_results(tmp_path / "out", "x", {}, figure(), seed=0, figure_format="pdf")
    assert not (tmp_path / "out").exists()
