"""What `docs/results` holds of reproductions."""

import json
from pathlib import Path

import pytest

from spikeproof.reproduce.printed import printed
from spikeproof.reproduce.targets import TARGETS

RECORDS = sorted(Path(__file__).parents[2].glob("docs/results/reproduce_*.json"))


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_recorded_reproduction_holds_the_papers_numbers_and_shows_its_own(path):
    record, text = json.loads(path.read_text("utf-8")), path.with_suffix(".md").read_text("utf-8")
    target = TARGETS[record["target"]]
    assert record["command"] in text
    assert path.with_suffix(".svg").is_file()
    for cell in record["cells"]:
        place, published = target.labels.index(cell["column"]), record["blocks"][cell["block"]]
        assert cell["paper"] == printed(record["target"], published, cell["row"], place)
        value = cell["on_chip"] and cell["on_chip"]["value"]
        line = next(
            line
            for line in text.splitlines()
            if line.startswith(f"| {cell['row']} | {cell['column']}")
        )
        assert value is None or f"{value:.1f}" in line or f"{value:.3g}" in line
