"""The recorded comparisons of methods say what their numbers hold."""

import json
from pathlib import Path

import pytest

from spikeproof.analysis.methods import COLUMNS, orders, table

RESULTS = Path(__file__).parents[2] / "docs" / "results"
RECORDS = sorted(path.stem for path in RESULTS.glob("methods_*.json"))


@pytest.mark.parametrize("name", RECORDS)
def test_recorded_table_is_that_of_the_numbers(name):
    record = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    assert table(record["rows"]) in (RESULTS / f"{name}.md").read_text(encoding="utf-8")
    found = {str(seed): order for seed, order in orders(record["rows"], column="pgd10").items()}
    assert found == record["order_under_pgd10"]
    assert all(row["samples"] >= row["clean"] >= row[c] for row in record["rows"] for c in COLUMNS)


def test_comparisons_were_recorded():
    assert RECORDS == ["methods_cifar10_subset", "methods_fashion"]
