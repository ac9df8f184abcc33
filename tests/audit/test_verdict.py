import copy

import pytest

from spikeproof.audit.verdict import raised, sentences, verdict


@pytest.fixture
def audit(finished):
    return copy.deepcopy(finished)


def test_verdict_names_what_was_simulated(audit):
    assert "Lava fixed-point model, not silicon" in verdict(audit)


def test_verdict_gives_robust_accuracy_with_intervals(audit):
    audit["robust"]["hardware_on_hardware"] = {"value": 0.5, "low": 0.4, "high": 0.6}
    assert "50.0 % (40.0 to 60.0)" in verdict(audit)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-9.0, -1.0, "Deployment costs robustness: the chip changes it by −5.0 points"),
        (1.0, 9.0, "The chip is the more robust of the two"),
        (-9.0, 1.0, "a loss of up to 9.0 points is not excluded"),
    ],
)
def test_verdict_follows_the_interval(audit, low, high, words):
    value = -5.0 if low < 0 else 5.0
    audit["difference"] = {"value": value, "low": low, "high": high}
    assert words in verdict(audit)


def test_verdict_gives_the_reason_for_no_ratio(audit):
    audit["survival"] = {"value": None, "low": None, "high": None, "reason": "it is too low"}
    assert "No survival ratio is given: it is too low." in verdict(audit)


def test_raised_alarms_come_first(audit):
    audit["alarms"][2]["raised"] = True
    assert len(raised(audit)) == 1
    assert sentences(audit)[0].startswith("Do not trust these numbers yet: 1 alarm of false")


def test_verdict_counts_unmeasured_alarms(audit):
    for alarm in audit["alarms"]:
        alarm["raised"] = None
    assert "No alarm of false robustness was raised; 20 of 20 could not be" in verdict(audit)
