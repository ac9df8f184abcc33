"""Which attack on events was the strongest on a sample."""

import pyarrow as pa
import pytest

from spikeproof.audit.again import on_events, ranked
from spikeproof.audit.ledger import CLEAN, SIDES, SUITE, Ledger, rows

# Of each attack on the chip, by sample: whether it stands, events changed, loss.
FOUND = {
    ("fgsm", "triangle"): ((False, 0.5, 9.0),) * 3,
    ("counts200", "triangle"): ((False, 40, 2.0), (True, 200, 0.5), (True, 200, 0.1)),
    ("sda4", "triangle"): ((False, 7, 1.0), (False, 90, 1.0), (True, 12, 0.4)),
    ("sda4", "pdsg"): ((False, 7, 3.0), (True, 3, 0.2), (True, 3, 0.2)),
}


@pytest.fixture
def ledger():
    clean = [
        rows(1, sample=k, role=CLEAN, evaluated_on=side, epsilon=0.0, is_right=True)
        for side in SIDES
        for k in range(3)
    ]
    attacked = [
        rows(
            1,
            sample=k,
            role=SUITE,
            source="hardware",
            evaluated_on="hardware",
            attack=name,
            estimator=estimator,
            epsilon=0.1,
            is_right=stands,
            events=events,
            loss=loss,
        )
        for (name, estimator), found in FOUND.items()
        for k, (stands, events, loss) in enumerate(found)
    ]
    return Ledger(pa.concat_tables([*clean, *attacked]))


def test_attacks_on_events_are_those_that_need_frames(ledger):
    assert on_events(ledger) == tuple(member for member in FOUND if member[0] != "fgsm")


def test_fewest_events_come_first_then_what_fooled_nothing_by_its_loss(ledger):
    members = on_events(ledger)
    order = ranked(ledger, members)
    found = [[members[m] for m in column] for column in order.T]
    counts, triangle, pdsg = members
    assert found == [[pdsg, triangle, counts], [triangle, counts, pdsg], [triangle, pdsg, counts]]
