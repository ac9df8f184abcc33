import json
from pathlib import Path

from spikeproof.audit.alarm_rates import AUDITED, RAISED, rate_of
from spikeproof.audit.rules import RULES

RECORD = Path(__file__).parents[2] / "benchmarks" / "results" / "bench_alarm_rates.json"
UNMEASURED = "verdict_moves_with_width"
NAMES = {rule.name for rule in RULES}


def test_false_alarm_rates_are_those_of_the_record():
    record = json.loads(RECORD.read_text(encoding="utf-8"))["details"]
    assert record["models"] == AUDITED
    assert {name: record["raised"][name] for name in RAISED} == RAISED
    assert set(RAISED) == NAMES - {UNMEASURED}
    rates = [rate_of(name, "linf") for name in RAISED]
    assert all(rate is not None and rate.at_most < 0.08 for rate in rates)


def test_a_rate_that_was_not_measured_is_none():
    assert rate_of(UNMEASURED, "linf") is None


def test_rates_of_other_norms_are_not_claimed():
    assert not any(rate_of(name, norm) for name in RAISED for norm in ("l2", "l1", "l0"))
