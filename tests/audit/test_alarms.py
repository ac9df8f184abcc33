from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from spikeproof.audit.alarms import RULES, Evidence, alarms
from spikeproof.audit.config import AuditConfig
from spikeproof.audit.ledger import Ledger

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
    assert {"large_epsilon", "rises_with_epsilon", "rises_with_steps"} <= set(missing)
    assert missing["large_epsilon"]["value"] is None
    assert missing["large_epsilon"]["reason"] == "the curve ends at 8/255, below 64/255"


@pytest.mark.parametrize(("gained", "is_raised"), [(3, False), (10, True)])
def test_rise_with_epsilon_is_an_alarm_beyond_noise(
    audited, float_toy, chip_toy, gained, is_raised
):
    result = audited(float_toy, chip_toy)
    ledger = Ledger(pq.read_table(result.samples))
    low = np.arange(30) < 10
    curve = {side: {8: low, 16: np.arange(30) < 10 + gained} for side in ("float", "hardware")}
    config = AuditConfig(curve=(8, 16))
    found = {a.name: a for a in alarms(Evidence(ledger=ledger, curve=curve, config=config))}
    assert found["rises_with_epsilon"].raised is is_raised


def test_more_steps_are_compared_in_the_paper_suite(audited, float_toy, chip_toy):
    found = audited(float_toy, chip_toy, suite="paper", samples=4, estimators=("exact",)).audit[
        "alarms"
    ]
    steps = [alarm for alarm in found if alarm["name"] == "rises_with_steps"]
    assert [alarm["raised"] for alarm in steps] == [False, False]


def test_false_alarm_rates_are_null_with_a_reason(finished):
    assert {alarm["false_alarm_rate"] for alarm in finished["alarms"]} == {None}
    assert all(alarm["false_alarm_reason"] for alarm in finished["alarms"])
