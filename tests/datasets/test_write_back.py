"""Changed frames as recordings: read and binned again they are the frames, to the last event."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeproof.core.errors import ConfigError, DataError
from spikeproof.datasets.bin_events import write_bin
from spikeproof.datasets.event_arrays import milliseconds
from spikeproof.datasets.events import Recording, check, make_events
from spikeproof.datasets.frames import FrameConfig, to_frames
from spikeproof.datasets.recordings import Sensor, read_recording
from spikeproof.datasets.write_back import recording_of, write_recording

BY_TIME = FrameConfig(steps=4, binning="time", size=(5, 5))


def recording(rng, *, count=400, side=8, span=4000):
    t = np.sort(rng.choice(span, count, replace=False))
    x, y = rng.integers(0, side, (2, count))
    events = make_events(t, x, y, rng.integers(0, 2, count))
    return Recording(events=events, height=side, width=side, source="noise")


def changed(rng, frames, *, most=3):
    """Frames with other counts in a third of the cells, the first frame not empty."""
    other = rng.integers(0, most, frames.shape, endpoint=True).astype(np.uint8)
    return np.where(rng.random(frames.shape) < 0.3, other, frames).astype(np.uint8)


def as_set(events):
    return set(events.tolist())


@pytest.mark.parametrize("size", [None, (5, 5), (3, 2)])
def test_frames_come_back_exactly(rng, size):
    original, config = recording(rng), replace(BY_TIME, size=size)
    frames = changed(rng, to_frames(original, config), most=20)
    found = recording_of(frames, original, config)
    np.testing.assert_array_equal(to_frames(check(found.recording), config), frames)
    assert found.added > 0
    assert found.removed > 0


def test_no_event_is_changed_without_need(rng):
    original = recording(rng)
    before = to_frames(original, BY_TIME)
    frames = changed(rng, before)
    found = recording_of(frames, original, BY_TIME)
    more, less = (
        np.clip(d, 0, None).sum()
        for d in (frames - before.astype(int), before - frames.astype(int))
    )
    assert (found.added, found.removed) == (more, less)
    kept = as_set(found.recording.events) & as_set(original.events)
    assert len(kept) == len(original) - less


def test_unchanged_frames_give_the_same_events(rng):
    original = recording(rng)
    found = recording_of(to_frames(original, BY_TIME), original, BY_TIME)
    np.testing.assert_array_equal(found.recording.events, original.events)


@pytest.mark.parametrize("refractory", [1, 20, 60])
def test_new_events_keep_the_refractory_period(rng, refractory):
    original = recording(rng, count=100)
    frames = changed(rng, to_frames(original, BY_TIME), most=2)
    found = recording_of(frames, original, BY_TIME, refractory=refractory).recording
    old = as_set(original.events)
    for one in found.events:
        if tuple(one.tolist()) in old or one["t"] == original.events["t"][0]:
            continue
        here = (found.events["x"] == one["x"]) & (found.events["y"] == one["y"])
        gaps = np.abs(found.events["t"][here] - one["t"])
        assert (np.sort(gaps)[1:] >= refractory).all()


def test_a_moved_packet_keeps_bins_of_equal_time(rng):
    original = recording(rng)
    frames = to_frames(original, BY_TIME)
    frames[3, 1, 2, 2] += frames[0, 1, 2, 2]
    frames[0, 1, 2, 2] = 0
    found = recording_of(frames, original, BY_TIME).recording
    np.testing.assert_array_equal(to_frames(found, BY_TIME), frames)
    assert len(found) == len(original)


def test_the_first_bin_begins_with_an_event_still(rng):
    original = recording(rng)
    frames = to_frames(original, BY_TIME)
    frames[0] = 0
    with pytest.raises(DataError, match="expected an event in the first bin of noise, got none"):
        recording_of(frames, original, BY_TIME)
    frames[0, 0, 4, 4] = 1
    found = recording_of(frames, original, BY_TIME).recording
    np.testing.assert_array_equal(to_frames(found, BY_TIME), frames)


def test_bins_of_equal_count_take_moves_within_a_frame(rng):
    original, config = recording(rng), replace(BY_TIME, binning="count", size=None)
    frames = to_frames(original, config)
    p, y, x = np.argwhere(frames[1] > 0)[0]
    frames[1, p, y, x] -= 1
    frames[1, 1 - p, y, 7 - x] += 1
    found = recording_of(frames, original, config).recording
    np.testing.assert_array_equal(to_frames(found, config), frames)
    frames[2, p, y, x] += 1
    with pytest.raises(DataError, match="expected 100 events in bin 2 of noise, got 101"):
        recording_of(frames, original, config)


def test_full_cells_keep_all_their_events(rng):
    original, config = recording(rng), replace(BY_TIME, size=(2, 2), cap=9)
    frames = to_frames(original, config)
    assert (frames == 9).any()
    frames[:, 0, 0, 0] = 9
    found = recording_of(frames, original, config)
    np.testing.assert_array_equal(to_frames(found.recording, config), frames)
    assert found.removed == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[1:], r"expected frames \[4, 2, 5, 5\] of noise, got \[3, 2, 5, 5\]"),
        (lambda x: x + 1, "expected whole events of 3 levels in the frames of noise, got"),
    ],
)
def test_frames_that_are_no_recording_are_refused(rng, change, message):
    original, config = recording(rng), replace(BY_TIME, unit=3)
    with pytest.raises(DataError, match=message):
        recording_of(change(to_frames(original, config)), original, config)


def test_events_without_room_are_refused(rng):
    original = recording(rng, count=30, span=200)
    frames = to_frames(original, BY_TIME)
    frames[1, 0, 0, 0] = 200
    with pytest.raises(DataError, match="expected room for an event at x=.*got none with 1 us"):
        recording_of(frames, original, BY_TIME)
    with pytest.raises(ConfigError, match="expected a refractory period of at least 1 us, got 0"):
        recording_of(frames, original, BY_TIME, refractory=0)


@pytest.mark.parametrize(
    ("ending", "side"), [(".bin", 34), (".aedat", 128), (".aedat4", 34), (".npy", 128)]
)
def test_files_are_read_again_as_they_were_written(rng, tmp_path, ending, side):
    if ending == ".aedat4":
        pytest.importorskip("dv_processing")
    original = recording(rng, side=side)
    path = tmp_path / f"events{ending}"
    write_recording(path, original)
    read, left_out = read_recording(path, sensor=Sensor(height=side, width=side))
    np.testing.assert_array_equal(read.events, original.events)
    assert left_out == {}


@given(st.integers(0, 2**40))
def test_milliseconds_keep_every_microsecond(t):
    times = milliseconds(np.array([t]))
    assert (times * 1000).astype(np.int64).tolist() == [t]


def test_what_bin_files_cannot_hold_is_refused(rng, tmp_path):
    original = recording(rng, side=8)
    with pytest.raises(ConfigError, match="expected a sensor of at most 256x240"):
        write_bin(tmp_path / "a.bin", replace(original, height=241))
    original.events["t"][-1] = 2**23
    with pytest.raises(ConfigError, match=r"expected times in 0\.\.8388607 us for"):
        write_bin(tmp_path / "a.bin", original)
    with pytest.raises(ConfigError, match="expected an ending of a recording among"):
        write_recording(tmp_path / "a.txt", original)


def test_real_recordings_come_back(rng, shared, tmp_path):
    sensor = Sensor(height=34, width=34)
    path = min((shared / "data/NMNIST/Test").glob("*/*.bin"))
    original, _ = read_recording(path, sensor=sensor)
    config = FrameConfig(steps=6, binning="time", size=(32, 32))
    frames = changed(rng, to_frames(original, config))
    write_recording(tmp_path / "back.bin", recording_of(frames, original, config).recording)
    read, _ = read_recording(tmp_path / "back.bin", sensor=sensor)
    np.testing.assert_array_equal(to_frames(read, config), frames)
