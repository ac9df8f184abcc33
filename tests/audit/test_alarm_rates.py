import json
from pathlib import Path

from spikeproof.audit.alarm_rates import AUDITED, RAISED, rate_of
from spikeproof.audit.rules import RULES

RECORD = Path(__file__).parents[2] / "benchmarks" / "results" / "bench_alarm_rates.json"
NAMES = {rule.name for rule in RULES}


def test_false_alarm_rates_are_those_of_the_record():
    record = json.loads(RECORD.read_text(encoding="utf-8"))["details"]
    assert {
        "models": record["models"],
        "raised": record["raised"],
    } == {"models": AUDITED, "raised": RAISED}
    assert set(RAISED) == NAMES
    assert all(rate_of(name).at_most < 0.15 for name in NAMES)
