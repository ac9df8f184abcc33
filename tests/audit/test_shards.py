import json
import sys

import pyarrow.parquet as pq
import pytest

from spikeproof.attacks.suite import SUITES, Suite, Wave
from spikeproof.audit.config import AuditConfig
from spikeproof.audit.journal import Journal
from spikeproof.audit.plan import Plan
from spikeproof.audit.validate import run_shard
from spikeproof.core.errors import ConfigError, MissingAbilityError

SMALL = {
    "suite": "short",
    "samples": 8,
    "batch_size": 4,
    "curve_samples": 3,
    "curve": (0, 8),
    "estimators": ("exact",),
}


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """A suite of one attack and a wave of another."""
    suite = Suite(name="short", attacks=("fgsm",), waves=(Wave(attacks=("apgd10",)),))
    monkeypatch.setitem(SUITES, "short", suite)


class StoppedError(RuntimeError):
    """Stands for a machine that goes down."""


def table_of(result):
    return pq.read_table(result.samples)


@pytest.fixture
def whole(audited, float_toy, chip_toy, tmp_path):
    return audited(float_toy, chip_toy, **SMALL, out=tmp_path / "whole.json")


def test_any_number_of_shards_gives_the_same_table(audited, float_toy, chip_toy, tmp_path):
    results = [
        audited(float_toy, chip_toy, **SMALL, shards=n, out=tmp_path / f"{n}.json") for n in (1, 3)
    ]
    first, second = map(table_of, results)
    assert first.equals(second, check_metadata=True)
    assert results[0].samples.read_bytes() == results[1].samples.read_bytes()
    assert results[0].audit == results[1].audit


def test_a_finished_shard_is_not_done_again(
    audited, float_toy, chip_toy, whole, tmp_path, monkeypatch
):
    done = []
    finish = Journal.finish

    def finish_and_stop(journal, name, table):
        finish(journal, name, table)
        done.append(name)
        if len(done) == 2:
            raise StoppedError

    monkeypatch.setattr(Journal, "finish", finish_and_stop)
    arguments = {**SMALL, "shards": 4, "out": tmp_path / "cut.json"}
    with pytest.raises(StoppedError):
        audited(float_toy, chip_toy, **arguments)
    resumed = audited(float_toy, chip_toy, **arguments, resume=True)
    assert done == [f"shard-0000{k}-of-00004" for k in range(4)]
    assert table_of(resumed).equals(table_of(whole), check_metadata=True)


def test_shards_that_others_did_are_collected(
    audited, float_toy, chip_toy, whole, samples, tmp_path
):
    out, config = tmp_path / "parts.json", AuditConfig(**SMALL, shards=2, continuous=False)
    plan = Plan.of(
        config,
        float_target=float_toy,
        hardware_target=chip_toy,
        images=samples.images,
        labels=samples.labels,
    )
    context = {"network": "toys"}
    assert [run_shard(plan, shard=k, out=out, context=context) for k in (1, 0)] == [1, 0]
    float_toy.calls.clear()
    found = audited(
        float_toy, chip_toy, **SMALL, shards=2, out=tmp_path / "parts.json", resume=True
    )
    assert not float_toy.calls
    assert json.dumps(found.audit) == json.dumps(whole.audit)


def test_a_shard_that_is_not_there_is_refused(samples, float_toy, chip_toy, tmp_path):
    with pytest.raises(ConfigError, match=r"a shard in 0\.\.1, got 2; count from 0"):
        run_shard(
            Plan.of(
                AuditConfig(shards=2),
                float_target=float_toy,
                hardware_target=chip_toy,
                images=samples.images,
                labels=samples.labels,
            ),
            shard=2,
            out=tmp_path / "a.json",
            context={},
        )


def test_more_shards_than_samples_are_refused(audited, float_toy, chip_toy):
    with pytest.raises(ConfigError, match="at most 7 shards, one a sample, got 8; ask for fewer"):
        audited(float_toy, chip_toy, samples=7, shards=8)


def test_ray_that_is_not_installed_is_named(audited, float_toy, chip_toy, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingAbilityError, match=r"expected Ray .*spikeproof\[scale\]"):
        audited(float_toy, chip_toy, **SMALL, engine="ray")
