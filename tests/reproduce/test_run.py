import json
import re

import pytest

from spikeproof.core.errors import ConfigError
from spikeproof.reproduce import targets
from spikeproof.reproduce.results import Found, Measured, Number
from spikeproof.reproduce.run import ReproduceConfig, run
from spikeproof.reproduce.targets import TARGETS

NAMES = {"name", "low", "high"}


def invented(bench, rows, columns):
    """A number for every cell, and none of a network."""
    names = [getattr(column, "label", column) for column in columns]
    found = [
        Found(
            row=row,
            column=name,
            on_float=Number(value=10.0 * at + place, low=0.0, high=99.0),
            on_chip=Number(value=5.0),
        )
        for at, row in enumerate(rows)
        for place, name in enumerate(names)
    ]
    return Measured(found=tuple(found))


@pytest.fixture
def faked(monkeypatch):
    """Puts an invented measurement into a target."""

    def fake(name):
        target = TARGETS[name]
        given = {field: getattr(target, field) for field in target.__dataclass_fields__}
        monkeypatch.setitem(targets.TARGETS, name, targets.Target(**{**given, "measure": invented}))
        return target

    return fake


@pytest.mark.parametrize("name", [name for name in TARGETS if name != "table2"])
def test_every_cell_is_written_with_its_difference(name, faked, tiny, tmp_path):
    target = faked(name)
    result = run(ReproduceConfig(target=name, scale=tiny), tmp_path)
    written = json.loads((tmp_path / f"{name}.json").read_text())
    assert len(written["cells"]) == len(target.rows) * len(target.labels) == len(result.cells)
    for cell in written["cells"]:
        if cell["paper"] is not None:
            assert cell["difference"] == cell["on_float"]["value"] - cell["paper"]
    lines = (tmp_path / f"{name}.md").read_text().splitlines()
    assert "|  |  | paper | float | difference | chip |" in lines
    assert sum(line.endswith(" | 5.0 |") for line in lines) == len(result.cells)
    assert "<svg" in (tmp_path / f"{name}.svg").read_text()


def test_result_says_how_it_came_about(faked, tiny, tmp_path):
    faked("table1")
    written = run(ReproduceConfig(target="table1", scale=tiny, seed=2), tmp_path).to_dict()
    assert written["command"] == (
        "spikeproof reproduce table1 --scale tiny --data digits --out DIR --seed 2"
    )
    assert (written["seed"], written["device"], written["samples"]) == (2, "cpu", 5)
    assert len(written["data"]["fingerprint"]) == 64
    assert written["blocks"] == {"digits": "CIFAR-10, VGG-11"}
    assert "other data and another network" in written["notes"][-1]


def test_markdown_shows_paper_and_difference(faked, tiny, tmp_path):
    faked("table4")
    text = run(ReproduceConfig(target="table4", scale=tiny), tmp_path).markdown()
    assert "| SR | noise 0.1 | 86.33 | 10.0 (0.0 to 99.0) | −76.3 | 5.0 |" in text
    assert re.search(
        r"noise 0.1: SR > SR\* > vanilla\. \*\*Not so here\.\*\* float: but SR\*", text
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "table5"}, "expected a target among table1, .*, got 'table5'; choose one"),
        ({"scale": "huge"}, "expected a scale among full, subset, smoke, got 'huge'; choose one"),
        ({"engine": "cloud"}, "expected an engine among local, ray, got 'cloud'; choose one"),
        ({"target": "table2"}, "expected recordings for table2, got the images of 'digits'; choo"),
        ({"spec": "nmnist:x"}, "expected images for table1, got the recordings of 'nmnist:x'; ch"),
    ],
)
def test_what_cannot_be_reproduced_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        ReproduceConfig(**{"target": "table1", **options})
