import csv
import io

import pytest

from spikeproof.audit.report.plain import COLUMNS, comma_separated, markdown
from spikeproof.audit.verdict import sentences
from spikeproof.audit.wording import estimate
from spikeproof.core.errors import FormatError


@pytest.fixture
def lines(finished):
    return list(csv.DictReader(io.StringIO(comma_separated(finished))))


def test_markdown_opens_with_the_verdict(finished):
    parts = markdown(finished).split("\n\n")
    assert parts[1 : 1 + len(sentences(finished))] == list(sentences(finished))


def test_markdown_holds_every_cell(finished):
    text = markdown(finished)
    assert all(estimate(share) in text for share in finished["robust"].values())
    assert estimate(finished["robust_continuous_float"]) in text


def test_markdown_rows_have_the_width_of_their_table(finished):
    for table in markdown(finished).split("\n\n"):
        rows = [line for line in table.splitlines() if line.startswith("|")]
        assert len({row.replace("\\|", "").count("|") for row in rows}) <= 1


def test_csv_has_a_number_a_line(finished, lines):
    assert list(lines[0]) == list(COLUMNS)
    cell = [r for r in lines if r["table"] == "robust" and r["model"] == "hardware"][1]
    assert float(cell["value"]) == finished["robust"]["hardware_on_hardware"]["value"]
    assert float(cell["high"]) == finished["robust"]["hardware_on_hardware"]["high"]


def test_csv_holds_curve_alarms_and_attacks(finished, lines):
    count = {name: sum(row["table"] == name for row in lines) for name in ("curve", "alarm")}
    assert count == {"curve": 2 * len(finished["curve"]), "alarm": len(finished["alarms"])}
    assert {row["row"] for row in lines if row["table"] == "attack"} >= {"fgsm exact"}


@pytest.mark.parametrize("write", [markdown, comma_separated])
def test_what_is_no_audit_is_refused(finished, write):
    with pytest.raises(FormatError, match="expected the key 'robust'"):
        write({key: value for key, value in finished.items() if key != "robust"})
