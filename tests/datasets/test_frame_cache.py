from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from spikeproof.core.errors import DataError, FormatError
from spikeproof.datasets import frame_cache
from spikeproof.datasets.aedat2 import write_aedat2
from spikeproof.datasets.event_bytes import CUT_OFF
from spikeproof.datasets.event_data import read_events
from spikeproof.datasets.events import Recording, make_events
from spikeproof.datasets.frame_cache import cached_frames, frames_of
from spikeproof.datasets.frames import FrameConfig, to_frames
from spikeproof.datasets.recording_sets import WINDOW, Source, cifar10_dvs, long_recordings
from spikeproof.datasets.recordings import Sensor, read_recording

CONFIG = FrameConfig(steps=3, size=(8, 8))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SPIKEPROOF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "frames"


def recorded(seed, count=60):
    rng = np.random.default_rng(seed)
    t, x, y = np.sort(rng.integers(0, WINDOW, count)), *rng.integers(0, 128, (2, count))
    events = make_events(t, x, y, rng.integers(0, 2, count))
    return Recording(events=events, height=128, width=128, source="made")


@pytest.fixture
def folder(tmp_path):
    """Two classes of ten recordings."""
    for label, name in enumerate(("airplane", "truck")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for n in range(10):
            write_aedat2(tmp_path / "data" / name / f"c_{n}.aedat", recorded(10 * label + n))
    return tmp_path / "data"


class StopAfter:
    """A tracker that ends the counting after some samples, as a kill would."""

    def __init__(self, left):
        self.left = left

    @contextmanager
    def task(self, label, total):
        del total
        self.counts = label == "frames"
        yield self

    def advance(self, units=1, note=""):
        if self.counts and note != "found":
            self.left -= units
            if self.left < 0:
                raise KeyboardInterrupt


@pytest.mark.parametrize("workers", [1, 2])
def test_cached_frames_are_those_of_each_recording(folder, workers):
    recordings = cifar10_dvs(folder)
    found = cached_frames(recordings, CONFIG, workers=workers)
    assert found.frames.shape == (20, 3, 2, 8, 8)
    for frames, source in zip(found.frames, recordings.sources, strict=True):
        np.testing.assert_array_equal(frames, to_frames(read_recording(source.path)[0], CONFIG))
    assert not found.frames.flags.writeable


def test_second_call_counts_nothing(folder, monkeypatch):
    first = cached_frames(cifar10_dvs(folder), CONFIG)
    monkeypatch.setattr(frame_cache, "frames_of", None)
    assert cached_frames(cifar10_dvs(folder), CONFIG).path == first.path


def test_all_who_ask_at_once_get_the_frames_that_one_counts(folder, monkeypatch):
    seen, recordings = [], cifar10_dvs(folder)
    monkeypatch.setattr(
        frame_cache, "frames_of", lambda *args: seen.append(args) or frames_of(*args)
    )
    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(cached_frames, recordings, CONFIG) for _ in range(3)]
    first, *others = [job.result().frames for job in jobs]
    assert len(seen) == len(recordings.sources)
    assert all(np.array_equal(first, other) for other in others)


def test_frames_that_were_removed_are_counted_again_whatever_marks_are_left(folder):
    found = cached_frames(cifar10_dvs(folder), CONFIG)
    before = np.array(found.frames)
    np.save(found.path.with_suffix(".filled.npy"), np.ones(len(before), np.uint8))
    found.path.unlink()
    np.testing.assert_array_equal(cached_frames(cifar10_dvs(folder), CONFIG).frames, before)


@pytest.mark.parametrize(
    ("ending", "content", "message"),
    [
        (".npy", b"\x93NUMPY", "expected the rows that were counted at"),
        (".json", b"{}", "expected what was mended in .* got none; remove it"),
    ],
)
def test_damaged_cache_is_refused(folder, ending, content, message):
    found = cached_frames(cifar10_dvs(folder), CONFIG)
    found.path.with_suffix(ending).write_bytes(content)
    with pytest.raises(FormatError, match=message):
        cached_frames(cifar10_dvs(folder), CONFIG)


def test_interrupted_counting_goes_on_where_it_stopped(folder, cache, monkeypatch):
    recordings, seen = cifar10_dvs(folder), []
    whole = cached_frames(recordings, CONFIG).frames.copy()
    for path in cache.iterdir():
        path.unlink()
    with pytest.raises(KeyboardInterrupt):
        cached_frames(recordings, CONFIG, tracker=StopAfter(7))
    left = {"".join(path.suffixes) for path in cache.iterdir()}
    assert left == {".partial.npy", ".filled.npy", ".lock"}
    counted = frame_cache.frames_of
    monkeypatch.setattr(
        frame_cache, "frames_of", lambda *args: seen.append(args[0]) or counted(*args)
    )
    np.testing.assert_array_equal(cached_frames(recordings, CONFIG).frames, whole)
    assert 0 < len(seen) < 20
    left = {"".join(path.suffixes) for path in cache.iterdir()}
    assert left == {".npy", ".json", ".lock"}


@pytest.mark.parametrize(
    "options", [{"steps": 4}, {"binning": "time"}, {"size": (7, 8)}, {"cap": 2}, {"unit": 2}]
)
def test_another_option_or_content_is_another_file(folder, options):
    first = cached_frames(cifar10_dvs(folder), CONFIG)
    other = replace(CONFIG, **options)
    assert cached_frames(cifar10_dvs(folder), other).path != first.path
    write_aedat2(folder / "truck" / "c_3.aedat", recorded(99))
    assert cached_frames(cifar10_dvs(folder), CONFIG).path != first.path


def test_recording_on_both_sides_of_the_split_is_refused(folder):
    (folder / "truck" / "c_9.aedat").write_bytes((folder / "truck" / "c_2.aedat").read_bytes())
    with pytest.raises(DataError, match=r"c_9.aedat, which equals .*c_2.aedat; remove one"):
        cached_frames(cifar10_dvs(folder), CONFIG)


def test_damaged_recording_is_refused_or_mended_and_told(folder):
    path = folder / "truck" / "c_4.aedat"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(FormatError, match="c_4.aedat"):
        cached_frames(cifar10_dvs(folder), CONFIG)
    found = cached_frames(replace(cifar10_dvs(folder), mend=True), CONFIG)
    assert found.mended == {"truck/c_4.aedat": {CUT_OFF: 5}}


def test_damaged_long_recordings_are_refused_or_mended(tmp_path, cache):
    events = recorded(1, count=4000).events
    events["t"] = np.arange(4000) * (10 * WINDOW // 3999)
    for name in ("box", "mug"):
        whole = Recording(events=events, height=128, width=128, source="made")
        write_aedat2(tmp_path / f"{name}.aedat", whole)
        events = np.flip(events).copy()
        events["t"] = events["t"][::-1]
    path = tmp_path / "mug.aedat"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(FormatError, match=r"got 3 bytes behind the last whole one"):
        read_events("aedat", tmp_path, CONFIG)
    assert read_events("aedat", tmp_path, CONFIG, mend=True).left_out == {CUT_OFF: 3}


def test_recordings_of_another_sensor_need_a_size_of_frames(tmp_path):
    source = Source(path=tmp_path / "a.aedat", label=0, part="train")
    write_aedat2(source.path, recorded(1))
    sensor = Sensor(height=4, width=9)
    with pytest.raises(DataError, match=r"expected a sensor of 9x4 pixels in .*, got 128x128; say"):
        frames_of([source], sensor, replace(CONFIG, size=None), False)
    (frames,), _ = frames_of([source], sensor, CONFIG, False)
    assert frames.shape[2:] == (8, 8)


def test_windows_of_one_recording_are_samples_of_their_own(tmp_path):
    events = recorded(1, count=4000).events
    events["t"] = np.sort(np.random.default_rng(2).integers(0, 10 * WINDOW, 4000))
    for name in ("box", "mug"):
        whole = Recording(events=events, height=128, width=128, source="made")
        write_aedat2(tmp_path / f"{name}.aedat", whole)
        events = events.copy()
        events["x"] = 127 - events["x"]
    found = cached_frames(long_recordings(tmp_path, lambda _: 10 * WINDOW), CONFIG)
    sums = found.frames.sum(axis=(1, 2, 3, 4))
    assert len(sums) == 2 * 9
    assert (sums > 300).all()
