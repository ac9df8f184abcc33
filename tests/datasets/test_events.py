import numpy as np
import pytest

from spikeproof.core.errors import DataError
from spikeproof.datasets.events import BACKWARDS, OUTSIDE, Recording, check, make_events, repair


def recording(t, x=None, y=None, *, size=4):
    t = np.asarray(t, dtype=np.int64)
    zeros = np.zeros(len(t), dtype=np.int64)
    x, y = (zeros if v is None else np.asarray(v, dtype=np.int64) for v in (x, y))
    events = make_events(t, x, y, np.arange(len(t)) % 2)
    return Recording(events=events, height=size, width=size, source="a.bin")


def test_lawful_recording_is_returned_as_it_is():
    lawful = recording([5, 5, 9], x=[0, 3, 3])
    assert check(lawful) is lawful


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (recording([]), "expected events in a.bin, got none"),
        (recording([1, 2], x=[0, 4]), "on a sensor of 4x4 pixels in a.bin, got 1 .* x=4, y=0"),
        (recording([1, 2], y=[7, 0]), "the first at x=0, y=7"),
        (recording([3, 2, 1]), "times that never fall in a.bin, got 2 steps back"),
    ],
)
def test_unlawful_recordings_are_refused(made, message):
    with pytest.raises(DataError, match=message):
        check(made)


def test_repair_drops_sorts_and_counts():
    mended, counts = repair(recording([9, 3, 3, 1], x=[0, 1, 2, 8]))
    assert counts == {OUTSIDE: 1, BACKWARDS: 1}
    assert mended.events["t"].tolist() == [3, 3, 9]
    assert mended.events["x"].tolist() == [1, 2, 0]


def test_repair_of_what_has_nothing_lawful_is_refused():
    with pytest.raises(DataError, match="got none"):
        repair(recording([1], x=[9]))
