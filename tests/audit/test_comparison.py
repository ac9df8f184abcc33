import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spikeproof.audit.comparison import CELL_NAMES, compare_audits
from spikeproof.audit.journal import sealed, write_table
from spikeproof.audit.ledger import CELLS, CLEAN, SUITE, Ledger, rows
from spikeproof.core.errors import ConfigError, DataError, FormatError

CHIP = "hardware_on_hardware"


def audit(path, clean, *attacks, sides=CELLS, **identity):
    """An audit's rows: `clean` and each of `attacks` say who is right, in every cell."""
    count = len(clean)
    keys = np.arange(count)
    identity = {"config": {"epsilon": 0.1}, "samples": "digest"} | identity
    tables = [
        rows(count, sample=keys, role=CLEAN, evaluated_on=side, epsilon=0.0, is_right=array(clean))
        for side in ("float", "hardware")
    ]
    tables += [
        rows(
            count,
            sample=keys,
            role=SUITE,
            source=source,
            evaluated_on=side,
            attack=f"attack{k}",
            estimator="triangle",
            epsilon=0.1,
            is_right=array(right),
        )
        for source, side in sides
        for k, right in enumerate(attacks)
    ]
    write_table(path, sealed(Ledger(pa.concat_tables(tables)).finished(), identity))
    return path


def array(values):
    return np.array(values, dtype=bool)


def mostly(count, right):
    """The first `right` of `count` samples."""
    return [k < right for k in range(count)]


def test_change_counts_who_survives_every_attack(tmp_path):
    yes, one, half = mostly(20, 20), mostly(20, 5), mostly(20, 10)
    before = audit(tmp_path / "a.parquet", yes, half, one)
    after = audit(tmp_path / "b.parquet", mostly(20, 15), yes)
    found = compare_audits(before, after, cell=CHIP)
    assert found["value"] == pytest.approx(100 * (15 - 5) / 20)
    assert found["low"] < found["value"] < found["high"]
    assert found["p"] == pytest.approx(2 / 2**10)


def test_order_of_the_audits_is_the_sign(tmp_path):
    yes = mostly(20, 20)
    before = audit(tmp_path / "a.parquet", yes, mostly(20, 4))
    after = audit(tmp_path / "b.parquet", yes, mostly(20, 12))
    there, back = (
        compare_audits(*files, cell=CHIP) for files in ((before, after), (after, before))
    )
    assert there["value"] == pytest.approx(40)
    assert back["value"] == pytest.approx(-40)
    assert (back["low"], back["high"]) == pytest.approx((-there["high"], -there["low"]))


def test_equal_audits_do_not_differ(tmp_path):
    file = audit(tmp_path / "a.parquet", mostly(9, 8), mostly(9, 3))
    found = compare_audits(file, file, cell=CHIP)
    assert (found["value"], found["p"]) == (0.0, 1.0)


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_every_cell_is_its_own(tmp_path, cell):
    yes = mostly(10, 10)
    files = []
    for name, right in (("a", 2), ("b", 7)):
        others = [c for c in CELLS if c != CELL_NAMES[cell]]
        one = audit(tmp_path / f"{name}1", yes, mostly(10, right), sides=[CELL_NAMES[cell]])
        rest = audit(tmp_path / f"{name}2", yes, mostly(10, 5), sides=others)
        attacked = pq.read_table(rest, filters=[("role", "==", SUITE)])
        write_table(one, pa.concat_tables([pq.read_table(one), attacked]))
        files.append(one)
    found = {c: compare_audits(*files, cell=c)["value"] for c in CELL_NAMES}
    assert found == {c: pytest.approx(50.0 if c == cell else 0.0) for c in CELL_NAMES}


def test_real_audits_are_compared(audited, float_toy, chip_toy, tmp_path):
    audited(float_toy, chip_toy, out=tmp_path / "a.json")
    audited(chip_toy, float_toy, out=tmp_path / "b.json")
    files = (tmp_path / "a.parquet", tmp_path / "b.parquet")
    changes = {cell: compare_audits(*files, cell=cell)["value"] for cell in CELL_NAMES}
    assert changes == {
        "float_on_float": pytest.approx(-100 * 5 / 30),
        "float_on_hardware": pytest.approx(100 * 1 / 30),
        "hardware_on_hardware": pytest.approx(100 * 5 / 30),
        "hardware_on_float": pytest.approx(-100 * 1 / 30),
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [({"samples": "other"}, "samples"), ({"config": {"epsilon": 0.2}}, "config.epsilon")],
)
def test_audits_of_other_samples_or_options_are_refused(tmp_path, change, said):
    before = audit(tmp_path / "a.parquet", mostly(10, 9), mostly(10, 3))
    after = audit(tmp_path / "b.parquet", mostly(10, 9), mostly(10, 3), **change)
    with pytest.raises(DataError, match=f"with the same options, got another {said}; audit both"):
        compare_audits(before, after, cell=CHIP)


@pytest.mark.parametrize("cell", ["", "hardware", "float_on_silicon", "float_on_float_on_float"])
def test_unknown_cell_is_refused(tmp_path, cell):
    file = audit(tmp_path / "a.parquet", [True], [True])
    with pytest.raises(ConfigError, match=f"expected a cell among float_on_float, .*got '{cell}'"):
        compare_audits(file, file, cell=cell)


def other_columns(path):
    write_table(path, pa.table({"x": [1]}))


SPOILT = {
    "absent": lambda path: None,
    "foreign": lambda path: path.write_text("no table"),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-50]),
    "other columns": other_columns,
}


@pytest.mark.parametrize("kind", SPOILT)
def test_file_that_is_no_audit_is_refused(tmp_path, kind):
    good = audit(tmp_path / "a.parquet", [True], [True])
    bad = tmp_path / "b.parquet"
    if kind == "cut":
        bad.write_bytes(good.read_bytes())
    SPOILT[kind](bad)
    with pytest.raises(FormatError, match="expected the .parquet of an audit at .*b.parquet, got"):
        compare_audits(good, bad, cell=CHIP)
