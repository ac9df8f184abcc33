import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spikeproof.audit.journal import Journal, fingerprint
from spikeproof.audit.ledger import SCHEMA, rows
from spikeproof.core.errors import ConfigError, FormatError

IDENTITY = {"config": {"seed": 0, "epsilon": 0.1}, "samples": "ab"}


def table():
    return rows(
        2,
        sample=np.array([4, 7]),
        role="suite",
        source="float",
        evaluated_on="hardware",
        attack="pgd10",
        estimator=None,
        epsilon=0.5,
        is_right=np.array([True, False]),
        zero_gradients=np.array([np.nan, 0.25]),
    )


def test_rows_fill_columns_and_nulls():
    first, second = table().to_pylist()
    assert (first["sample"], second["sample"]) == (4, 7)
    assert (first["zero_gradients"], second["zero_gradients"]) == (None, 0.25)
    assert first["loss"] is first["estimator"] is None
    assert table().schema == SCHEMA


def test_part_is_computed_once(tmp_path):
    journal = Journal(tmp_path / "parts", identity=IDENTITY, resume=False)
    first = journal.rows("a", table)
    again = Journal(tmp_path / "parts", identity=IDENTITY, resume=True)
    assert again.rows("a", lambda: pytest.fail("computed twice")) == first


def test_parts_are_kept_and_refused_without_resume(tmp_path):
    Journal(tmp_path / "parts", identity=IDENTITY, resume=False).rows("a", table)
    with pytest.raises(ConfigError, match="expected no unfinished audit in .*; resume it, or del"):
        Journal(tmp_path / "parts", identity=IDENTITY, resume=False)
    assert (tmp_path / "parts" / "a.parquet").exists()


def test_failed_part_leaves_nothing(tmp_path):
    journal = Journal(tmp_path / "parts", identity=IDENTITY, resume=False)
    with pytest.raises(ZeroDivisionError):
        journal.rows("a", lambda: 1 // 0)  # type: ignore[arg-type, return-value]
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["fingerprint.json"]


def test_parts_of_another_audit_are_refused(tmp_path):
    Journal(tmp_path / "parts", identity=IDENTITY, resume=False)
    other = {**IDENTITY, "config": {"seed": 1, "epsilon": 0.1}}
    with pytest.raises(ConfigError, match=r"got another config\.seed; repeat those options"):
        Journal(tmp_path / "parts", identity=other, resume=True)


def test_folder_of_something_else_is_kept(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="got something else; move it away"):
        Journal(tmp_path, identity=IDENTITY, resume=False)
    assert (tmp_path / "thesis.tex").exists()


def test_damaged_part_is_refused(tmp_path):
    journal = Journal(tmp_path / "parts", identity=IDENTITY, resume=False)
    (tmp_path / "parts" / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(FormatError, match=r"a part of an audit at .*a\.parquet.*delete that file"):
        journal.rows("a", table)


def test_foreign_part_is_refused(tmp_path):
    journal = Journal(tmp_path / "parts", identity=IDENTITY, resume=False)
    pq.write_table(pa.table({"x": [1]}), tmp_path / "parts" / "a.parquet")
    with pytest.raises(FormatError, match="expected the columns sample, role"):
        journal.rows("a", table)


def test_part_under_another_name_is_refused(tmp_path):
    journal = Journal(tmp_path / "parts", identity=IDENTITY, resume=False)
    journal.rows("a", table)
    (tmp_path / "parts" / "a.parquet").rename(tmp_path / "parts" / "b.parquet")
    with pytest.raises(FormatError, match=r"expected the part 'b of .*, got 'a of .*delete that"):
        journal.rows("b", table)


def test_part_of_another_audit_is_refused(tmp_path):
    Journal(tmp_path / "theirs", identity={"seed": 1}, resume=False).rows("a", table)
    journal = Journal(tmp_path / "parts", identity=IDENTITY, resume=False)
    (tmp_path / "theirs" / "a.parquet").rename(tmp_path / "parts" / "a.parquet")
    with pytest.raises(FormatError, match=r"expected the part 'a of "):
        journal.rows("a", table)


def test_fingerprint_ignores_the_order_of_keys():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
