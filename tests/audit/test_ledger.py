import numpy as np
import pyarrow as pa
import pytest

from spikeproof.audit.ledger import CLEAN, SUITE, Ledger, cell_name, rows
from spikeproof.core.errors import DataError

SAMPLES = np.array([5, 2, 9])


@pytest.fixture
def ledger():
    parts = [
        rows(3, sample=SAMPLES, role=CLEAN, evaluated_on=side, epsilon=0.0, is_right=right)
        for side, right in (
            ("float", np.array([True, True, False])),
            ("hardware", np.array([True, False, True])),
        )
    ]
    for attack, estimator, right in (
        ("fgsm", "rga", [True, True, True]),
        ("noise", None, [True, False, True]),
    ):
        parts.append(
            rows(
                3,
                sample=SAMPLES,
                role=SUITE,
                source="float",
                evaluated_on="float",
                attack=attack,
                estimator=estimator,
                epsilon=0.5,
                is_right=np.array(right),
                queries=2,
            )
        )
    return Ledger(pa.concat_tables(parts))


def test_survivors_are_clean_correct_and_never_broken(ledger):
    assert ledger.survivors(SUITE, "float", "float").tolist() == [True, False, False]


def test_survivors_of_some_attacks_ignore_the_others(ledger):
    found = ledger.survivors(SUITE, "float", "float", attacks=["fgsm"])
    assert found.tolist() == [True, True, False]


def test_unbroken_ignores_the_clean_image(ledger):
    assert ledger.unbroken(SUITE, "float", "float").tolist() == [True, False, True]


def test_members_keep_attacks_without_estimators(ledger):
    assert ledger.members(SUITE, "float", "float") == (("fgsm", "rga"), ("noise", None))


def test_mean_of_nulls_is_none(ledger):
    assert ledger.mean("queries", role=SUITE, attack="fgsm") == 2
    assert ledger.mean("queries", role=CLEAN) is None


def test_finished_rows_say_what_is_robust(ledger):
    published = ledger.finished().to_pylist()
    fgsm = {row["sample"]: row["is_robust"] for row in published if row["attack"] == "fgsm"}
    assert fgsm == {5: True, 2: True, 9: False}


def test_missing_results_are_refused(ledger):
    with pytest.raises(DataError, match=r"expected results for .*pgd10.*, got none"):
        ledger.right(role=SUITE, attack="pgd10")


def test_cell_names_read_crafted_on_evaluated_on():
    assert cell_name("float", "hardware") == "float_on_hardware"
