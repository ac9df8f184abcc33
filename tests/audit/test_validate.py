import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from spikeproof.attacks.target import FunctionTarget
from spikeproof.audit import plan
from spikeproof.audit.config import AuditConfig
from spikeproof.audit.plan import Plan
from spikeproof.audit.validate import run
from spikeproof.core.errors import ConfigError, DataError

N = 30
TRUTH = {
    "float_on_float": 21 / N,
    "hardware_on_hardware": 16 / N,
    # Every clean-correct sample stands: the other model's attacks do not move this one's row.
    "float_on_hardware": 26 / N,
    "hardware_on_float": 27 / N,
}


def rows_of(result):
    """Rows of every sample, in an order that does not depend on how they were computed."""
    table = pq.read_table(result.samples).to_pylist()
    return sorted(table, key=lambda row: json.dumps(row, sort_keys=True))


def answers_of(result):
    """The rows without what they cost: a cascade's forward passes are a mean over its samples."""
    return [{key: row[key] for key in row if key != "queries"} for row in rows_of(result)]


class StoppedError(RuntimeError):
    """Stands for a machine that goes down."""


class Flaky:
    """A target that stops after so many calls of all its estimators together."""

    def __init__(self, target, calls):
        self.inner, self.left, self.name = target, [calls], target.name
        self.estimators = target.estimators

    def __call__(self, x):
        self.left[0] -= 1
        if self.left[0] < 0:
            raise StoppedError
        return self.inner(x)

    def using(self, estimator):
        found = Flaky(self.inner.using(estimator), 0)
        found.left = self.left
        return found


@pytest.mark.parametrize("suite", ["quick", "paper"])
def test_cells_equal_the_truth(audited, float_toy, chip_toy, suite):
    audit = audited(float_toy, chip_toy, suite=suite, curve=(8,)).audit
    assert {cell: found["value"] for cell, found in audit["robust"].items()} == TRUTH


def test_clean_accuracy_equals_the_truth(finished):
    clean = {side: finished["clean"][side]["value"] for side in ("float", "hardware")}
    assert clean == {"float": 27 / N, "hardware": 26 / N}


def test_continuous_row_equals_the_truth(finished):
    assert finished["robust_continuous_float"]["value"] == 21 / N


def test_comparison_counts_the_pairs(finished):
    pairs = {key: finished["mcnemar"][key] for key in ("both", "only_float", "only_hardware")}
    assert pairs == {"both": 12, "only_float": 9, "only_hardware": 4}
    assert finished["difference"]["value"] == pytest.approx(100 * (4 - 9) / N)


def test_published_rule_lets_attacks_repair(audited, float_toy, chip_toy):
    audit = audited(float_toy, chip_toy, suite="paper", estimators=("exact",)).audit
    cells = audit["published_rule"]
    assert all(cells[cell]["value"] >= audit["robust"][cell]["value"] for cell in cells)


def test_attack_cells_are_no_lower_than_the_suite(finished):
    for cell, value in TRUTH.items():
        assert min(attack["accuracy"][cell] for attack in finished["attacks"]) >= value


def test_blind_estimator_finds_less_than_the_exact_one(finished):
    found = {(a["name"], a["estimator"]): a["accuracy"] for a in finished["attacks"]}
    assert found["fgsm", "blind"]["float_on_float"] == 27 / N
    assert found["fgsm", "exact"]["float_on_float"] == 21 / N


def test_samples_are_the_first_ones(audited, float_toy, chip_toy):
    result = audited(float_toy, chip_toy, samples=7)
    assert result.audit["n"] == 7
    assert {row["sample"] for row in rows_of(result)} == set(range(7))


def test_rows_tell_robust_samples(audited, float_toy, chip_toy):
    result = audited(float_toy, chip_toy)
    rows = [row for row in rows_of(result) if row["role"] == "suite"]
    rows = [r for r in rows if (r["source"], r["evaluated_on"]) == ("hardware", "hardware")]
    broken = {row["sample"] for row in rows if not row["is_robust"]}
    assert N - len(broken) == 16


@pytest.mark.parametrize("size", [5, 14])
def test_rows_do_not_depend_on_the_batch_size(audited, float_toy, chip_toy, tmp_path, size):
    results = [
        audited(float_toy, chip_toy, samples=14, batch_size=b, out=tmp_path / f"{b}.json")
        for b in (64, size)
    ]
    first, second = (sorted(map(json.dumps, answers_of(result))) for result in results)
    assert first == second


def test_resumed_audit_equals_an_uninterrupted_one(audited, float_toy, chip_toy, tmp_path):
    whole = audited(float_toy, chip_toy, batch_size=16, out=tmp_path / "whole.json")
    out = tmp_path / "stopped.json"
    with pytest.raises(StoppedError):
        audited(Flaky(float_toy, 12), chip_toy, batch_size=16, out=out)
    assert not out.exists()
    resumed = audited(float_toy, chip_toy, batch_size=16, out=out, resume=True)
    assert resumed.audit == whole.audit
    assert rows_of(resumed) == rows_of(whole)


def test_resumed_audit_computes_no_part_twice(audited, float_toy, chip_toy, tmp_path):
    audited(float_toy, chip_toy, out=tmp_path / "whole.json")
    calls = len(float_toy.calls)
    out = tmp_path / "stopped.json"
    with pytest.raises(StoppedError):
        audited(float_toy, Flaky(chip_toy, 30), out=out)
    done = len(float_toy.calls) - calls
    float_toy.calls.clear()
    audited(float_toy, chip_toy, out=out, resume=True)
    assert 0 < len(float_toy.calls) < calls
    assert len(float_toy.calls) + done == calls


def test_finished_audit_is_returned_as_it_is(audited, float_toy, chip_toy):
    first = audited(float_toy, chip_toy, samples=6)
    float_toy.calls.clear()
    assert audited(float_toy, chip_toy, samples=6, resume=True).audit == first.audit
    assert not float_toy.calls


def test_parts_are_gone_when_finished(audited, float_toy, chip_toy):
    result = audited(float_toy, chip_toy, samples=6)
    assert sorted(p.name for p in result.path.parent.iterdir()) == ["audit.json", "audit.parquet"]
    assert json.loads(result.path.read_text()) == result.audit


def test_every_batch_has_one_size(audited, float_toy, chip_toy):
    audited(float_toy, chip_toy, batch_size=16)
    assert set(float_toy.calls) == {16}


def test_resuming_another_audit_is_refused(audited, float_toy, chip_toy):
    with pytest.raises(StoppedError):
        audited(Flaky(float_toy, 3), chip_toy)
    with pytest.raises(ConfigError, match=r"another config\.seed; repeat those options"):
        audited(float_toy, chip_toy, seed=1, resume=True)


@pytest.mark.parametrize("library", ["commit", "numpy", "spikeproof", "torch"])
def test_resuming_with_other_versions_is_refused(
    audited, float_toy, chip_toy, library, monkeypatch
):
    with pytest.raises(StoppedError):
        audited(Flaky(float_toy, 3), chip_toy)
    others = {**plan.versions(), library: "0.0"}
    monkeypatch.setattr(plan, "versions", lambda: others)
    with pytest.raises(ConfigError, match=rf"another versions\.{library}; repeat"):
        audited(float_toy, chip_toy, resume=True)


def test_resuming_with_other_weights_is_refused(audited, float_toy, chip_toy):
    with pytest.raises(StoppedError):
        audited(Flaky(float_toy, 3), chip_toy, context={"sha256": "a"})
    with pytest.raises(ConfigError, match=r"another context\.sha256; repeat"):
        audited(float_toy, chip_toy, context={"sha256": "b"}, resume=True)


def test_resuming_another_finished_audit_is_refused(audited, float_toy, chip_toy):
    audited(float_toy, chip_toy, samples=6)
    with pytest.raises(ConfigError, match="of the same audit at .* got another one"):
        audited(float_toy, chip_toy, samples=8, resume=True)


def test_finished_audit_whose_table_was_exchanged_is_not_returned(audited, float_toy, chip_toy):
    audited(float_toy, chip_toy, samples=8)
    other = audited(float_toy, chip_toy, samples=6).samples.read_bytes()
    result = audited(float_toy, chip_toy, samples=8)
    result.samples.write_bytes(other)
    with pytest.raises(ConfigError, match="of the same audit at .* got another one"):
        audited(float_toy, chip_toy, samples=8, resume=True)


def test_table_that_no_audit_stands_beside_is_left_alone(audited, float_toy, chip_toy, tmp_path):
    (tmp_path / "audit.parquet").write_text("precious")
    with pytest.raises(ConfigError, match="expected no .*audit.parquet without an audit beside it"):
        audited(float_toy, chip_toy, samples=6)
    assert [path.name for path in tmp_path.iterdir()] == ["audit.parquet"]


def test_folder_in_the_place_of_the_table_is_refused_before_any_work(
    audited, float_toy, chip_toy, tmp_path
):
    (tmp_path / "audit.parquet").mkdir()
    with pytest.raises(ConfigError, match="expected a file name, got the folder .*audit.parquet"):
        audited(float_toy, chip_toy, samples=6)
    assert float_toy.calls == []


def test_unknown_estimator_is_refused(audited, float_toy, chip_toy):
    with pytest.raises(ConfigError, match="exact, blind for 'float toy', got 'rga'"):
        audited(float_toy, chip_toy, estimators=("rga",))


def test_too_many_samples_are_refused(audited, float_toy, chip_toy):
    with pytest.raises(DataError, match="at least 31 test images, got 30; ask for fewer"):
        audited(float_toy, chip_toy, samples=31)


def test_missing_labels_are_refused(audited, float_toy, chip_toy, samples):
    with pytest.raises(DataError, match="30 images and 29 labels"):
        audited(float_toy, chip_toy, labels=samples.labels[:-1])


def test_output_without_json_is_refused(audited, float_toy, chip_toy, tmp_path):
    with pytest.raises(ConfigError, match=r"ends in \.json"):
        audited(float_toy, chip_toy, out=tmp_path / "audit")


def test_convolutions_give_the_same_rows_in_any_order(samples, tmp_path):
    """Through the whole of `run`, on a network whose float sums could round differently."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, (2, 5)), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.LazyLinear(2)
    ).eval()
    network(torch.zeros(1, 1, 2, 64))
    target = FunctionTarget(network, name="conv")
    noisy = np.random.default_rng(0).integers(0, 256, samples.images.shape, dtype=np.uint8)

    def robust(count):
        result = run(
            Plan.of(
                AuditConfig(batch_size=12, curve=(0, 2), continuous=False, samples=count),
                float_target=target,
                hardware_target=target,
                images=noisy,
                labels=samples.labels,
            ),
            out=tmp_path / f"{count}.json",
            context={},
        )
        answers = [row for row in answers_of(result) if row["sample"] < 10]
        return sorted(json.dumps(row, sort_keys=True) for row in answers)

    assert robust(10) == robust(30)
