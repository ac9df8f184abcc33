from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from spikeproof.audit.alarms import alarms
from spikeproof.audit.config import AuditConfig
from spikeproof.audit.evidence import Evidence
from spikeproof.audit.ledger import Ledger
from spikeproof.audit.plan import Plan
from spikeproof.audit.rules import RULES
from spikeproof.audit.validate import run
from spikeproof.tests.audit.conftest import MARGINS, RowToy, images_of

NAMES = {rule.name for rule in RULES}


def raised(audit, model):
    return {a["name"] for a in audit["alarms"] if a["raised"] and a["model"] == model}


def test_sound_toys_raise_none(finished):
    assert raised(finished, "float") == raised(finished, "hardware") == set()


def test_every_alarm_is_judged_for_both_models(finished):
    assert {(a["name"], a["model"]) for a in finished["alarms"]} == {
        (name, model) for name in NAMES for model in ("float", "hardware")
    }


def test_masked_gradients_raise_alarms(audited, float_toy, chip_toy):
    masked = replace(chip_toy, masked=True)
    audit = audited(float_toy, masked).audit
    assert raised(audit, "hardware") >= {"zero_gradients", "large_epsilon"}
    assert raised(audit, "float") == set()


def test_masked_twin_is_broken_by_transfer(audited, float_toy):
    audit = audited(float_toy, replace(float_toy, masked=True)).audit
    assert "black_box_beats_white_box" in raised(audit, "hardware")


def test_noise_against_blind_fgsm_is_an_alarm(audited, float_toy, chip_toy, samples):
    close = samples.images.copy()
    pixels = np.where(np.arange(64) % 2 == 0, 127, 128).astype(np.uint8)
    close[:, :, 1] = pixels
    close[:, :, 1, 0] = 127 + samples.labels[:, None] * 2
    audit = audited(float_toy, replace(chip_toy, masked=True), images=close).audit
    assert "noise_as_strong_as_fgsm" in raised(audit, "hardware")


def test_one_step_that_finds_more_than_many_is_an_alarm(audited, float_toy, chip_toy):
    audit = audited(float_toy, replace(chip_toy, deceptive=True)).audit
    assert raised(audit, "hardware") >= {"one_step_beats_iterative"}
    assert "one_step_beats_iterative" not in raised(audit, "float")


def test_what_was_not_measured_is_null(audited, float_toy, chip_toy):
    found = audited(float_toy, chip_toy, curve=(8,)).audit["alarms"]
    missing = {a["name"]: a for a in found if a["raised"] is None and a["model"] == "float"}
    assert set(missing) == {"large_epsilon", "rises_with_epsilon", "verdict_moves_with_width"}
    assert missing["large_epsilon"]["value"] is missing["large_epsilon"]["p"] is None
    assert missing["large_epsilon"]["reason"] == "the curve ends at 8/255, below 128/255"


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    """Of an audit of two sound toys."""
    images, labels = images_of(MARGINS)
    config = AuditConfig(batch_size=30, curve=(8,), continuous=False)
    out = tmp_path_factory.mktemp("evidence") / "audit.json"
    found = run(
        Plan.of(
            config,
            float_target=RowToy(0, "float"),
            hardware_target=RowToy(1, "chip"),
            images=images,
            labels=labels,
        ),
        out=out,
        context={},
    )
    ledger = Ledger(pq.read_table(found.samples))
    curve = {side: {8: np.ones(30, dtype=bool)} for side in ("float", "hardware")}
    return Evidence(ledger=ledger, curve=curve, labels=labels, config=config)


@pytest.mark.parametrize(("gained", "is_raised"), [(3, False), (10, True)])
def test_rise_with_epsilon_is_an_alarm_beyond_chance(evidence, gained, is_raised):
    points = {8: np.arange(30) < 10, 16: np.arange(30) < 10 + gained}
    curve = dict.fromkeys(("float", "hardware"), points)
    found = {a.name: a for a in alarms(replace(evidence, curve=curve))}
    assert found["rises_with_epsilon"].raised is is_raised
    assert found["rises_with_epsilon"].value == gained / 30


@pytest.mark.parametrize(("level", "left", "value"), [(128, 16, 1 / 30), (255, 16, 16 / 30)])
def test_a_large_ball_leaves_the_largest_class_or_nothing(evidence, level, left, value):
    curve = {side: {level: np.arange(30) < left} for side in ("float", "hardware")}
    found = {a.name: a for a in alarms(replace(evidence, curve=curve))}
    assert found["large_epsilon"].value == pytest.approx(value), "15 of 30 are of one class"
    assert found["large_epsilon"].raised


def test_p_counts_every_comparison_of_the_audit(evidence):
    found = alarms(evidence)
    raw = {(r.name, s): r.measure(evidence, s) for r in RULES for s in ("float", "hardware")}
    family = sum(m.comparisons for m in raw.values() if m.p is not None)
    assert family > len(RULES)
    for alarm in found:
        p = raw[alarm.name, alarm.model].p
        assert alarm.p == (None if p is None else min(1.0, p * family))


def test_more_steps_are_compared_in_the_paper_suite(audited, float_toy, chip_toy):
    found = audited(float_toy, chip_toy, suite="paper", samples=4, estimators=("exact",)).audit[
        "alarms"
    ]
    steps = [alarm for alarm in found if alarm["name"] == "rises_with_steps"]
    assert [alarm["raised"] for alarm in steps] == [False, False]
