"""Readers agree with an independent decode, event for event, and refuse what is damaged."""

import io
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spikeproof.core.errors import ConfigError, DataError, FormatError, SpikeproofError
from spikeproof.datasets.aedat2 import write_aedat2
from spikeproof.datasets.aedat3 import END, PACKET, VERSION
from spikeproof.datasets.bin_events import OVERFLOW_ROW, OVERFLOW_TIME
from spikeproof.datasets.event_bytes import CUT_OFF
from spikeproof.datasets.events import MAX_EVENTS, Recording, make_events
from spikeproof.datasets.recordings import DVS128, READERS, Sensor, read_recording

NMNIST = Sensor(height=34, width=34)
CALTECH = Sensor(height=180, width=240)


def assert_same(recording, t, x, y, p):
    expected = make_events(*(np.asarray(v).astype(np.int64) for v in (t, x, y, p)))
    np.testing.assert_array_equal(recording.events, expected)


def test_bin_agrees_with_tonic_on_every_shared_file(shared):
    tonic = pytest.importorskip("tonic.io")
    dtype = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])
    data = shared / "data"
    files = [(f, NMNIST) for f in sorted(data.glob("NMNIST/T*/*/*.bin"))]
    files += [(f, DVS128) for f in sorted(data.glob("DVSGesture-slayer10/*/*.bin"))]
    files += [(f, CALTECH) for f in sorted(data.glob("event-samples/*.bin"))]
    assert len(files) == 650 + 6 + 1
    for path, sensor in files:
        theirs = tonic.read_mnist_file(str(path), dtype=dtype)
        found, left_out = read_recording(path, sensor=sensor)
        assert left_out == {}
        assert_same(found, theirs["t"], theirs["x"], theirs["y"], theirs["p"])


def test_aedat2_agrees_with_a_plain_loop_on_every_shared_file(shared):
    files = sorted((shared / "data" / "DVS128-objects").glob("*.aedat"))
    assert len(files) == 7
    for path in files:
        raw = path.read_bytes()
        start = raw.index(b"#End Of ASCII Header\r\n") + len(b"#End Of ASCII Header\r\n")
        pairs = list(struct.iter_unpack(">II", raw[start:]))
        found, left_out = read_recording(path)
        assert (found.height, found.width, left_out) == (128, 128, {})
        address, t = (np.array(column) for column in zip(*pairs, strict=True))
        assert_same(found, t, address // 2 % 128, address // 256 % 128, address % 2 == 0)


def test_aedat4_agrees_with_its_package(shared):
    aedat = pytest.importorskip("aedat")
    path = shared / "data" / "event-samples" / "davis346_sample.aedat4"
    packets = [packet["events"] for packet in aedat.Decoder(str(path)) if "events" in packet]
    theirs = np.concatenate(packets)
    found, left_out = read_recording(path)
    assert (found.height, found.width, len(found)) == (260, 346, 6676)
    assert left_out == {"packets of other streams": 33}
    assert_same(found, *(theirs[name] for name in theirs.dtype.names or ()))


def write_bin(path, events):
    rows = [(x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255) for t, x, y, p in events]
    path.write_bytes(bytes(value for row in rows for value in row))


def test_bin_carries_overflows_of_time(tmp_path):
    write_bin(tmp_path / "a.bin", [(5, 1, 2, 1), (0, 0, OVERFLOW_ROW, 0), (7, 3, 4, 0)])
    found, left_out = read_recording(tmp_path / "a.bin", sensor=NMNIST)
    assert_same(found, [5, 7 + OVERFLOW_TIME], [1, 3], [2, 4], [1, 0])
    assert left_out == {"time overflows": 1}


def aedat3(*packets):
    """Packets of kind, overflows and (t, x, y, p, valid)."""
    content = f"{VERSION}\r\n#Format: RAW\r\n{END}\r\n".encode()
    for kind, overflows, events in packets:
        valid = sum(event[4] for event in events)
        content += PACKET.pack(kind, 1, 8, 4, overflows, len(events), len(events), valid)
        for t, x, y, p, is_valid in events:
            content += struct.pack("<Ii", x << 17 | y << 2 | p << 1 | is_valid, t)
    return content


def test_aedat3_keeps_the_valid_events_of_pixels(tmp_path):
    path = tmp_path / "a.aedat"
    special = (0, 0, [(1, 0, 0, 0, 1)])
    first = (1, 0, [(10, 5, 6, 1, 1), (11, 7, 8, 0, 0), (12, 127, 0, 0, 1)])
    path.write_bytes(aedat3(special, first, (1, 2, [(3, 1, 2, 1, 1)])))
    found, left_out = read_recording(path)
    assert_same(found, [10, 12, 3 + (2 << 31)], [5, 127, 1], [6, 0, 2], [1, 0, 1])
    assert left_out == {"invalid events": 1, "other events": 1}


def some_events(rng, count=500, *, rows=128, columns=128):
    t = np.sort(rng.integers(0, 2**31, count))
    return make_events(
        t, rng.integers(0, columns, count), rng.integers(0, rows, count), rng.integers(0, 2, count)
    )


def test_aedat2_reads_back_what_it_wrote(rng, tmp_path):
    made = Recording(events=some_events(rng), height=128, width=128, source="made")
    write_aedat2(tmp_path / "a.aedat", made)
    found, left_out = read_recording(tmp_path / "a.aedat")
    np.testing.assert_array_equal(found.events, made.events)
    assert left_out == {}


def test_aedat2_carries_its_counter_over_and_leaves_triggers_out(tmp_path):
    header = b"#!AER-DAT2.0\r\n"
    rows = [(2**32 - 2, 1 << 8), (2**32 - 1, 0x8000), (3, 2 << 1 | 1)]
    (tmp_path / "a.aedat").write_bytes(header + b"".join(struct.pack(">II", a, t) for t, a in rows))
    found, left_out = read_recording(tmp_path / "a.aedat")
    assert_same(found, [2**32 - 2, 2**32 + 3], [0, 2], [1, 0], [1, 0])
    assert left_out == {"special events": 1}


def test_aedat4_reads_back_what_it_wrote(rng, tmp_path):
    pytest.importorskip("dv_processing")
    pytest.importorskip("aedat")
    from spikeproof.datasets.aedat4 import write_aedat4

    made = Recording(events=some_events(rng), height=128, width=128, source="made")
    write_aedat4(tmp_path / "a.aedat4", made, camera="simulated")
    found, _ = read_recording(tmp_path / "a.aedat4")
    assert (found.height, found.width) == (128, 128)
    np.testing.assert_array_equal(found.events, made.events)
    assert [path.name for path in tmp_path.iterdir()] == ["a.aedat4"]


def test_tonics_arrays_are_in_milliseconds(tmp_path):
    np.save(tmp_path / "3.npy", np.array([[5, 6, 1, 0.25], [7, 8, 0, 1.5]]))
    found, _ = read_recording(tmp_path / "3.npy")
    assert_same(found, [250, 1500], [5, 7], [6, 8], [1, 0])


GOOD = {
    ".bin": bytes((1, 2, 128, 0, 5, 3, 4, 0, 0, 9)),
    ".aedat": b"#!AER-DAT2.0\r\n" + struct.pack(">IIII", 1 << 8, 5, 2, 9),
}


@pytest.mark.parametrize("ending", GOOD)
def test_truncated_files_are_refused_or_mended(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    path.write_bytes(GOOD[ending][:-2])
    with pytest.raises(FormatError, match="the file is truncated: copy it again, or repair"):
        read_recording(path, sensor=NMNIST)
    found, counts = read_recording(path, sensor=NMNIST, mend=True)
    assert len(found) == 1
    assert counts[CUT_OFF] > 0


def test_aedat3_that_ends_within_a_packet_is_refused_or_mended(tmp_path):
    path = tmp_path / "a.aedat"
    path.write_bytes(aedat3((1, 0, [(1, 2, 3, 1, 1)]), (1, 0, [(2, 2, 3, 1, 1)]))[:-3])
    with pytest.raises(FormatError, match="got a file that ends within one"):
        read_recording(path)
    found, counts = read_recording(path, mend=True)
    assert len(found) == 1
    assert counts == {CUT_OFF: PACKET.size + 8 - 3}


def array(rows):
    """A `.npy` of these rows."""
    written = io.BytesIO()
    np.save(written, rows)
    return written.getvalue()


ARRAY = array(np.array([[5, 6, 1, 0.25], [7, 8, 0, 1.5]]))

REFUSED = {
    "empty.bin": (b"", DataError, "got an empty file"),
    "other.aedat": (b"#!AER-DAT9.9\r\n", FormatError, "expected '#!AER-DAT2.0' or"),
    "endless.aedat": (b"#!AER-DAT2.0", FormatError, "expected header lines that end"),
    "davis.aedat": (
        b"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n",
        FormatError,
        "expected a recording of a DVS128 .* got one of eu.seebetter",
    ),
    "sizes.aedat": (
        aedat3((1, 0, []))[: -PACKET.size] + PACKET.pack(1, 1, 8, 4, 0, 1, -1, 0),
        FormatError,
        "expected a packet of events at byte .* got -1 events",
    ),
    "short.npy": (b"\x93NUMPY", FormatError, "expected a .npy header in .* got none that is whole"),
    "zip.npy": (b"PK\x03\x04", FormatError, "expected a .npy header in"),
    "a.raw": (b"% evt 9\n", FormatError, "expected a header with 'evt 2' or 'evt 3'"),
    "a.txt": (b"1", ConfigError, "expected an ending of a recording among"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_foreign_files_are_refused(tmp_path, name):
    content, error, message = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    if name.endswith(".raw"):
        pytest.importorskip("expelliarmus")
    with pytest.raises(error, match=message):
        read_recording(tmp_path / name)


def test_absent_files_are_refused(tmp_path):
    for ending in (".bin", ".aedat", ".npy"):
        with pytest.raises(DataError, match="No such file"):
            read_recording(tmp_path / f"absent{ending}")


def test_arrays_of_something_else_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 5)))
    with pytest.raises(DataError, match=r"expected numbers \[N, 4\]"):
        read_recording(tmp_path / "a.npy")
    for row in ([1, 1, 2, 1.0], [1.5, 1, 1, 1.0], [1, -1, 1, 1.0], [1, 1, 1, np.nan]):
        np.save(tmp_path / "a.npy", np.array([row]))
        with pytest.raises(DataError, match="expected whole columns and rows in 0..65535"):
            read_recording(tmp_path / "a.npy")


def test_files_beyond_the_bound_are_refused_unread(tmp_path):
    path = tmp_path / "a.bin"
    with path.open("wb") as file:
        file.truncate(6 * MAX_EVENTS)
    with pytest.raises(FormatError, match=f"expected at most {MAX_EVENTS} events"):
        read_recording(path, sensor=NMNIST)


@pytest.mark.parametrize("shape", ["(2, 4", f"({'9' * 30}, 4)", "(2, True)", "(9, 4)", "(-1, 4)"])
def test_arrays_with_damaged_headers_are_refused(tmp_path, shape):
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117)
    (tmp_path / "a.npy").write_bytes(ARRAY[:10] + header.encode() + b"\n" + ARRAY[128:])
    with pytest.raises(FormatError, match="the file is damaged|none that is whole"):
        read_recording(tmp_path / "a.npy")


def refusal(path, *, mend):
    """What is said of a recording that is refused; None where it is read."""
    try:
        read_recording(path, mend=mend)
    except SpikeproofError as error:
        return str(error)
    return None


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(READERS.keys() - {".aedat4", ".dat", ".raw"})), st.data())
def test_damaged_files_are_read_or_refused_in_one_line(tmp_path, ending, data):
    base = {**GOOD, ".npy": ARRAY}[ending]
    if ending == ".aedat" and data.draw(st.booleans()):
        base = aedat3((1, 0, [(1, 2, 3, 1, 1)]))
    content = bytearray(base[: data.draw(st.integers(0, len(base)))])
    content += data.draw(st.binary(max_size=60))
    for place in data.draw(st.lists(st.integers(0, max(len(content) - 1, 0)), max_size=4)):
        content[place : place + 1] = data.draw(st.binary(min_size=1, max_size=1))
    path = tmp_path / f"a{ending}"
    path.write_bytes(content)
    said = refusal(path, mend=data.draw(st.booleans()))
    assert said is None or (said.startswith("expected ") and "\n" not in said)


def test_damaged_aedat4_never_takes_this_process_along(shared, rng, tmp_path):
    pytest.importorskip("aedat")
    whole = (shared / "data" / "event-samples" / "davis346_sample.aedat4").read_bytes()
    path, refused = tmp_path / "a.aedat4", 0
    for _ in range(40):
        content = bytearray(whole[: rng.integers(14, len(whole))])
        for place in rng.integers(14, min(len(content), 3000), size=3):
            content[place] = rng.integers(256)
        path.write_bytes(content)
        refused += refusal(path, mend=False) is not None
    assert refused > 20
