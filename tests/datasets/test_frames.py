import io
import zipfile

import numpy as np
import pytest

from spikeproof.core.errors import ConfigError, DataError, FormatError, SpikeproofError
from spikeproof.datasets.events import Recording, make_events
from spikeproof.datasets.frame_files import read_frames
from spikeproof.datasets.frames import FrameConfig, check_frames, to_frames
from spikeproof.datasets.recordings import Sensor, read_recording


def made(t, x=None, y=None, p=None, *, height=4, width=4):
    zeros = [0] * len(t)
    fields = (np.asarray(zeros if v is None else v, dtype=np.int64) for v in (t, x, y, p))
    return Recording(events=make_events(*fields), height=height, width=width, source="a.bin")


def slow_frames(recording, config):
    """The same by a loop over events, in Python's own integers."""
    steps, _, rows, columns = shape = config.shape(recording.height, recording.width)
    counts, events = np.zeros(shape, dtype=int), recording.events.tolist()
    first, duration = events[0][0], events[-1][0] - events[0][0]
    for place, (t, x, y, p) in enumerate(events):
        by_time, by_count = (t - first) // (duration // steps), place // (len(events) // steps)
        step = by_time if config.binning == "time" else by_count
        if step < steps:
            row, column = y * rows // recording.height, x * columns // recording.width
            counts[step, p, row, column] += config.unit
    return np.minimum(counts, config.cap)


@pytest.mark.parametrize("binning", ["time", "count"])
@pytest.mark.parametrize("options", [{}, {"size": (3, 5), "cap": 6, "unit": 2}, {"steps": 1}])
def test_frames_equal_a_loop_over_events(rng, binning, options):
    t = np.sort(rng.integers(0, 5000, 700))
    x, y, p = (rng.integers(0, top, 700) for top in (9, 7, 2))
    recording = made(t, x, y, p, height=7, width=9)
    config = FrameConfig(**({"steps": 6, "binning": binning} | options))
    frames = to_frames(recording, config)
    assert frames.dtype == np.uint8
    np.testing.assert_array_equal(frames, slow_frames(recording, config))


@pytest.mark.parametrize(
    ("binning", "keyword"), [("time", "n_time_bins"), ("count", "n_event_bins")]
)
def test_frames_equal_tonics(shared, binning, keyword):
    transforms = pytest.importorskip("tonic.transforms")
    data = shared / "data"
    files = [(f, 34) for f in sorted(data.glob("NMNIST/Test/*/*.bin"))]
    files += [
        (f, 128) for f in sorted(data.glob("DVS*/*.aedat")) + sorted(data.glob("DVS*/*/*.bin"))
    ]
    assert len(files) == 50 + 7 + 6
    for path, size in files:
        recording, _ = read_recording(path, sensor=Sensor(height=size, width=size))
        theirs = transforms.ToFrame(sensor_size=(size, size, 2), **{keyword: 10})(recording.events)
        ours = to_frames(recording, FrameConfig(steps=10, binning=binning))
        np.testing.assert_array_equal(ours, theirs)


def test_no_event_is_lost_by_smaller_frames(rng):
    t, x, y = np.arange(1000), rng.integers(0, 128, 1000), rng.integers(0, 128, 1000)
    recording = made(t, x, y, t % 2, height=128, width=128)
    small = to_frames(recording, FrameConfig(steps=10, size=(48, 48)))
    assert small.shape == (10, 2, 48, 48)
    assert int(small.sum()) == 1000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "expected steps >= 1"),
        ({"cap": 256}, "1 <= unit <= cap <= 255, got steps 10, unit 1 and cap 256"),
        ({"unit": 9, "cap": 8}, "unit 9 and cap 8"),
        ({"binning": "x"}, "expected binning by time or count, got 'x'"),
        ({"size": (0, 3)}, "expected frames of at least 1x1 cells"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        FrameConfig(**options)


def test_frames_larger_than_the_sensor_are_refused():
    with pytest.raises(
        ConfigError, match="expected frames within the sensor's 4x4 pixels, got 5x4"
    ):
        to_frames(made(range(20)), FrameConfig(steps=2, size=(5, 4)))


@pytest.mark.parametrize(
    ("binning", "message"),
    [("time", "at least 9 us for 9 bins in a.bin, got 3 us"), ("count", "at least 9 events")],
)
def test_recordings_too_short_for_their_bins_are_refused(binning, message):
    with pytest.raises(DataError, match=message):
        to_frames(made([0, 1, 3]), FrameConfig(steps=9, binning=binning))


def test_recordings_without_an_event_are_refused():
    for binning, message in (("time", "expected events in a.bin, got none"), ("count", "got 0")):
        with pytest.raises(DataError, match=message):
            to_frames(made([]), FrameConfig(steps=2, binning=binning))


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((3, 4, 4)), r"expected frames \[T, 2, H, W\] in f, got \[3, 4, 4\]"),
        (np.full((1, 2, 2, 2), 0.5), "expected whole counts 0..255 in f"),
        (np.full((1, 2, 2, 2), 256), "got 256..256"),
        (np.full((1, 2, 2, 2), np.nan), "expected counts in f, got float64 or NaN"),
    ],
)
def test_frames_that_are_no_counts_are_refused(frames, message):
    with pytest.raises(DataError, match=message):
        check_frames(frames, what="f")


def test_counted_frames_are_read_from_both_containers(rng, tmp_path):
    savemat = pytest.importorskip("scipy.io").savemat
    frames = rng.integers(0, 9, (4, 2, 5, 6))
    np.savez(tmp_path / "a.npz", frames=frames.astype(np.float32))
    savemat(tmp_path / "a.mat", {"frames": frames})
    for name in ("a.npz", "a.mat"):
        found = read_frames(tmp_path / name, FrameConfig(steps=4, size=(5, 6)))
        np.testing.assert_array_equal(found, frames)


def test_counted_frames_become_levels_as_recordings_do(tmp_path):
    counts = np.arange(16).reshape(1, 2, 2, 4)
    np.savez(tmp_path / "a.npz", frames=counts)
    found = read_frames(tmp_path / "a.npz", FrameConfig(steps=1, unit=32, cap=200))
    np.testing.assert_array_equal(found, np.minimum(32 * counts, 200))


def test_counted_frames_of_another_shape_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", frames=np.ones((4, 2, 5, 6)))
    with pytest.raises(DataError, match="expected 10 frames of 5x6 in .*, got 4 of 5x6"):
        read_frames(tmp_path / "a.npz", FrameConfig())
    np.savez(tmp_path / "b.npz", other=np.ones(3))
    with pytest.raises(DataError, match="expected frames in .*b.npz, got other; add frames"):
        read_frames(tmp_path / "b.npz", FrameConfig())
    (tmp_path / "c.mat").write_bytes(b"MATLAB 5.0 nonsense" * 20)
    with pytest.raises(FormatError, match="expected an undamaged mat file"):
        read_frames(tmp_path / "c.mat", FrameConfig())


def test_small_files_cannot_ask_for_large_arrays(tmp_path):
    header = io.BytesIO()
    shape = (2, 2, 2**15, 2**15)
    fields = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, fields)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("frames.npy", header.getvalue())
    with pytest.raises(FormatError, match="expected 0 bytes of data in frames.npy"):
        read_frames(tmp_path / "a.npz", FrameConfig())


def test_compressed_matlab_arrays_are_bounded(tmp_path, monkeypatch):
    savemat = pytest.importorskip("scipy.io").savemat
    savemat(tmp_path / "a.mat", {"frames": np.zeros((4, 2, 64, 64))}, do_compression=True)
    monkeypatch.setattr("spikeproof.datasets.bounded.MAX_BYTES", 2**17)
    with pytest.raises(FormatError, match="at .*a.mat, got ValueError: more than 131072 bytes"):
        read_frames(tmp_path / "a.mat", FrameConfig(steps=4))


def test_damaged_matlab_arrays_never_take_this_process_along(rng, tmp_path):
    savemat = pytest.importorskip("scipy.io").savemat
    path, refused = tmp_path / "a.mat", 0
    savemat(path, {"frames": rng.integers(0, 9, (4, 2, 5, 6)), "other": "words"})
    whole = path.read_bytes()
    for _ in range(150):
        content = bytearray(whole)
        for place in rng.integers(120, 200, size=3):
            content[place] = rng.integers(256)
        path.write_bytes(content)
        try:
            read_frames(path, FrameConfig(steps=4))
        except SpikeproofError:
            refused += 1
    assert refused > 75


def test_matlab_files_without_frames_name_what_they_have(tmp_path):
    savemat = pytest.importorskip("scipy.io").savemat
    savemat(tmp_path / "a.mat", {"counts": np.ones(3)})
    with pytest.raises(DataError, match="expected 'frames' in .*a.mat, got counts; rename it"):
        read_frames(tmp_path / "a.mat", FrameConfig())
