"""Data sets with changed test recordings: read again, they show the frames and else the same."""

import numpy as np
import pytest

from spikeproof.core.errors import ConfigError
from spikeproof.datasets.aedat2 import write_aedat2
from spikeproof.datasets.bin_events import write_bin
from spikeproof.datasets.changed_sets import (
    changed_sample,
    check_changeable,
    samples_to_test,
    write_changed_set,
)
from spikeproof.datasets.event_arrays import write_event_array
from spikeproof.datasets.event_data import FINDERS
from spikeproof.datasets.events import Recording, make_events
from spikeproof.datasets.frame_cache import frames_of
from spikeproof.datasets.frames import FrameConfig
from spikeproof.datasets.recording_sets import WINDOW
from spikeproof.datasets.recordings import read_recording

FRAMES = FrameConfig(steps=3, binning="time", size=(8, 8), unit=32)


def noise(rng, *, side, span, count):
    t = np.sort(rng.integers(0, span, count))
    t[0], t[-1] = 0, span
    x, y = rng.integers(0, side, (2, count))
    events = make_events(t, x, y, rng.integers(0, 2, count))
    return Recording(events=events, height=side, width=side, source="noise")


@pytest.fixture
def digits(tmp_path, rng):
    """N-MNIST's layout: two recordings to train with, two to test."""
    for part in ("Train", "Test"):
        for name in ("3/00001.bin", "7/00002.bin"):
            path = tmp_path / "set" / part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bin(path, noise(rng, side=34, span=3000, count=600))
    return tmp_path / "set"


@pytest.fixture
def objects(tmp_path, rng):
    """One long recording a class: 16 windows to train with, three to test."""
    for name in ("box", "mug"):
        path = tmp_path / "set" / f"{name}.aedat"
        path.parent.mkdir(exist_ok=True)
        write_aedat2(path, noise(rng, side=128, span=20 * WINDOW + 9, count=20_000))
    return tmp_path / "set"


def moved(frames):
    """The frames with an event less in a cell of the last one, and one more in an empty one."""
    found = frames.copy()
    last = found[-1].reshape(-1)
    last[(last == FRAMES.unit).argmax()] = 0
    last[last.argmin()] += FRAMES.unit
    return found


def rewritten(kind, folder, out, places):
    """Changes test samples and writes the set; frames that were wanted, and that are read."""
    found = FINDERS[kind](folder)
    tests, wanted, changed = samples_to_test(found), {}, {}
    for place in places:
        ((frames,), _) = frames_of([tests[place]], found.sensor, FRAMES, False)
        wanted[place] = moved(frames)
        changed[tests[place]] = changed_sample(found, tests[place], wanted[place], FRAMES)
    out.mkdir()
    write_changed_set(found, folder, out, changed)
    again = FINDERS[kind](out)
    read = [frames_of([s], again.sensor, FRAMES, False)[0][0] for s in samples_to_test(again)]
    return found, again, wanted, read


def test_changed_files_show_the_frames(digits, tmp_path):
    _, again, wanted, read = rewritten("nmnist", digits, tmp_path / "out", (0, 1))
    assert [s.label for s in samples_to_test(again)] == [3, 7]
    for place, frames in wanted.items():
        np.testing.assert_array_equal(read[place], frames)


def test_changed_windows_show_the_frames_and_the_others_what_they_did(objects, tmp_path):
    found, again, wanted, read = rewritten("aedat", objects, tmp_path / "out", (0, 1, 4))
    assert [(s.label, s.window) for s in again.sources] == [
        (s.label, s.window) for s in found.sources
    ]
    for place, source in enumerate(samples_to_test(found)):
        ((before,), _) = frames_of([source], found.sensor, FRAMES, False)
        np.testing.assert_array_equal(read[place], wanted.get(place, before))


def test_training_windows_keep_their_events(objects, tmp_path):
    found, again, _, _ = rewritten("aedat", objects, tmp_path / "out", (2, 5))
    for before, after in zip(found.sources, again.sources, strict=True):
        if before.part == "train":
            old, new = (s.cut(read_recording(s.path)[0]).events for s in (before, after))
            np.testing.assert_array_equal(old, new)


def test_training_files_are_linked_and_other_test_files_left_out(digits, tmp_path):
    rewritten("nmnist", digits, tmp_path / "out", (1,))
    linked = tmp_path / "out" / "Train" / "3" / "00001.bin"
    assert linked.resolve() == (digits / "Train" / "3" / "00001.bin").resolve()
    assert not (tmp_path / "out" / "Test" / "3").exists()
    assert (tmp_path / "out" / "Test" / "7" / "00002.bin").is_file()


@pytest.fixture
def gestures(tmp_path, rng):
    """DVS128 Gesture's layout: a recording to train with, one to test."""
    for part in ("ibmGestureTrain", "ibmGestureTest"):
        path = tmp_path / "set" / part / "user01_led" / "3.npy"
        path.parent.mkdir(parents=True)
        write_event_array(path, noise(rng, side=128, span=30_001, count=900))
    return tmp_path / "set"


def test_changed_gestures_show_the_frames(gestures, tmp_path):
    _, _, wanted, read = rewritten("dvs-gesture", gestures, tmp_path / "out", (0,))
    np.testing.assert_array_equal(read[0], wanted[0])


def test_formats_that_are_only_read_are_refused(tmp_path):
    for number in (1, 9):
        path = tmp_path / "cat" / f"cifar10_cat_{number}.npz"
        path.parent.mkdir(exist_ok=True)
        np.savez(path, frames=np.zeros((3, 2, 8, 8), np.uint8))
    with pytest.raises(ConfigError, match=r"expected recordings that end in .bin, .aedat, .aedat4"):
        check_changeable(FINDERS["cifar10-dvs"](tmp_path))
