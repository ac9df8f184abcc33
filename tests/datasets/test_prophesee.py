"""Prophesee's files: read to the last event, refused where damaged.

expelliarmus writes `.dat` and EVT 2; what it writes as EVT 3 lacks the high parts of times.
"""

import numpy as np
import pytest

from spikeproof.core.errors import DataError, FormatError, SpikeproofError
from spikeproof.datasets.event_bytes import CUT_OFF
from spikeproof.datasets.events import UNPOLAR
from spikeproof.datasets.evt3 import STATELESS, decode_evt3
from spikeproof.datasets.prophesee import WORDS
from spikeproof.datasets.recordings import Sensor, read_recording

expelliarmus = pytest.importorskip("expelliarmus")

SENSOR = Sensor(height=180, width=240)
HEADER = b"% evt 3.0\n% format EVT3;height=180;width=240\n"
FIELDS = np.dtype([("t", "i8"), ("x", "i2"), ("y", "i2"), ("p", "u1")])


def written(rng, folder, encoding, *, count=300):
    """Events, and the file that the library makes of them."""
    events = np.zeros(count, FIELDS)
    events["t"], events["p"] = np.sort(rng.integers(0, 10**6, count)), rng.integers(0, 2, count)
    events["x"], events["y"] = rng.integers(0, 240, count), rng.integers(0, 180, count)
    path = folder / f"{encoding}.{'dat' if encoding == 'dat' else 'raw'}"
    if encoding == "evt3":
        path.write_bytes(HEADER + np.array([*evt3_words(events)], "<u2").tobytes())
    else:
        expelliarmus.Wizard(encoding=encoding).save(str(path), events)
    return events, path


def evt3_words(events):
    """A stream that says time and row before every event."""
    for t, x, y, p in events.tolist():
        yield from (8 << 12 | t >> 12 & 0xFFF, 6 << 12 | t & 0xFFF, y, 2 << 12 | p << 11 | x)


def decoded(words):
    """Events `(t, x, y, p)` of EVT 3, word by word."""
    high, low, y, x, p, over, found = None, 0, None, None, 0, 0, []
    for word in words:
        kind, value = word >> 12, word & 0xFFF
        if kind == 8 and value != high:
            over += high is not None and value < high - 2048
            high, low = value, 0
        elif kind == 6:
            low = value
        elif kind == 0:
            y = value & 0x7FF
        elif kind == 3:
            x, p = value & 0x7FF, value >> 11
        new = [(value & 0x7FF, value >> 11)] if kind == 2 else []
        if kind in (4, 5) and x is not None:
            width = 12 if kind == 4 else 8
            new = [(x + bit, p) for bit in range(width) if value >> bit & 1]
            x += width
        if high is not None and y is not None:
            found += [((over << 24) + (high << 12) + low, column, y, on) for column, on in new]
    return found


@pytest.mark.parametrize("encoding", WORDS)
def test_files_are_read_to_the_last_event(rng, tmp_path, encoding):
    events, path = written(rng, tmp_path, encoding)
    found, left_out = read_recording(path, sensor=SENSOR)
    for name in FIELDS.names or ():
        np.testing.assert_array_equal(found.events[name], events[name])
    assert left_out == {}


@pytest.mark.parametrize("encoding", WORDS)
def test_files_that_end_within_a_word_are_refused_or_mended(rng, tmp_path, encoding):
    events, path = written(rng, tmp_path, encoding)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FormatError, match="the file is truncated: copy it again, or repair"):
        read_recording(path, sensor=SENSOR)
    found, counts = read_recording(path, sensor=SENSOR, mend=True)
    assert len(found) == len(events) - 1
    assert counts == {CUT_OFF: WORDS[encoding][1] - 1}


def test_polarities_beyond_on_and_off_are_refused_or_mended(rng, tmp_path):
    events, path = written(rng, tmp_path, "dat")
    content = bytearray(path.read_bytes())
    content[-1] |= 0xF0  # the four bits of the last event's polarity
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"expected polarities 0 or 1 in .*dat.dat, got 15; repair"):
        read_recording(path, sensor=SENSOR)
    found, counts = read_recording(path, sensor=SENSOR, mend=True)
    assert (len(found), counts) == (len(events) - 1, {UNPOLAR: 1})


@pytest.mark.parametrize("encoding", WORDS)
def test_damaged_files_are_lawful_or_refused(rng, tmp_path, encoding):
    _, path = written(rng, tmp_path, encoding)
    whole, refused = path.read_bytes(), 0
    for _ in range(20):
        content = bytearray(whole[: rng.integers(1, len(whole))])
        for place in rng.integers(0, len(content), 8):
            content[place] = rng.integers(256)
        path.write_bytes(content)
        try:
            found, _ = read_recording(path, sensor=SENSOR, mend=True)
        except SpikeproofError:
            refused += 1
            continue
        assert (found.events["p"] <= 1).all()
        assert (found.events["x"] < SENSOR.width).all()
    assert refused > 0


@pytest.mark.parametrize("count", [0, 4000, *range(1, 40)])
def test_evt3_is_what_a_slow_decoder_reads(rng, count):
    shares = [0.1, 0.3, 0.1, 0.2, 0.1, 0.1, 0.05, 0.05]
    kinds = rng.choice([0, 2, 3, 4, 5, 6, 8, 10], count, p=shares)
    words = (kinds << 12 | rng.integers(0, 2**12, count)).astype(np.uint16)
    found, left_out = decode_evt3(words, source="noise")
    expected = decoded(words.tolist())
    assert [tuple(event) for event in found.tolist()] == expected
    assert left_out.keys() <= {STATELESS}


def test_other_encodings_are_refused(tmp_path):
    (tmp_path / "a.raw").write_bytes(b"% evt 2.1\n" + bytes(16))
    with pytest.raises(FormatError, match=r"expected a header with 'evt 2' or 'evt 3' in"):
        read_recording(tmp_path / "a.raw")
