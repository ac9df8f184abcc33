import numpy as np
import pytest

from spikeproof.core.errors import DataError
from spikeproof.datasets.recording_sets import (
    CIFAR10_DVS_SPLIT,
    FEWEST_WINDOWS,
    MOST_WINDOWS,
    OBJECTS,
    WINDOW,
    cifar10_dvs,
    dvs_gesture,
    long_recordings,
    nmnist,
    split_hash,
)
from spikeproof.datasets.recordings import read_recording


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def within(t, window):
    """Places of the events in a window."""
    since = t - t[0]
    return np.flatnonzero((since >= window[0]) & (since < window[1]))


def parts(found):
    return {part: [s for s in found.sources if s.part == part] for part in ("train", "test")}


def test_nmnist_is_read_in_the_official_order(shared):
    found = nmnist(shared / "data" / "NMNIST")
    split = parts(found)
    assert (len(split["train"]), len(split["test"])) == (600, 50)
    names = [source.path.stem for source in split["train"]]
    assert names == [f"{n:05}" for n in range(1, 601)]
    assert all(source.label == int(source.path.parent.name) for source in found.sources)


def test_split_of_cifar10_dvs_is_the_published_one():
    assert split_hash() == CIFAR10_DVS_SPLIT


@pytest.mark.parametrize("ending", ["aedat", "aedat4", "npz", "mat"])
def test_cifar10_dvs_is_split_nine_to_one_by_number(tmp_path, ending):
    names = [f"{name}/cifar10_{name}_{n}.{ending}" for name in OBJECTS for n in range(20)]
    touch(tmp_path, *names)
    split = parts(cifar10_dvs(tmp_path))
    assert (len(split["train"]), len(split["test"])) == (180, 20)
    numbers = [int(source.path.stem.split("_")[-1]) for source in split["train"]]
    assert numbers == [n for n in range(20) if n % 10 != 9 for _ in OBJECTS]
    assert {source.label for source in split["test"]} == set(range(10))


def test_the_first_few_of_cifar10_dvs_are_of_all_classes(tmp_path):
    names = ("cat", "dog", "frog")
    touch(tmp_path, *(f"{name}/cifar10_{name}_{n}.aedat" for name in names for n in range(20)))
    split = parts(cifar10_dvs(tmp_path))
    for part in split.values():
        assert [source.path.parent.name for source in part[:6]] == [*names, *names]


def test_cifar10_dvs_without_numbers_is_refused(tmp_path):
    touch(tmp_path, "cat/first.aedat")
    with pytest.raises(DataError, match="expected a recording with its number at the end"):
        cifar10_dvs(tmp_path)


def test_gestures_are_those_of_the_official_parts(tmp_path):
    touch(tmp_path, "ibmGestureTrain/user01_led/3.npy", "ibmGestureTest/user24_led/10.npy")
    touch(tmp_path, "ibmGestureTrain/user01_led/11.npy")
    found = dvs_gesture(tmp_path)
    assert [(source.part, source.label) for source in found.sources] == [("train", 3), ("test", 10)]


def test_windows_of_a_long_recording_never_touch_across_the_split(tmp_path):
    touch(tmp_path, "mug.aedat", "box.aedat")
    found = long_recordings(tmp_path, lambda _: 20 * WINDOW + 5)
    assert found.classes == ("box", "mug")
    for label in (0, 1):
        train, test = (
            [source.window for source in own if source.label == label and source.window]
            for own in parts(found).values()
        )
        assert (len(train), len(test)) == (16, 3)
        assert max(end for _, end in train) + WINDOW == min(start for start, _ in test)


def test_long_recordings_that_leave_nothing_to_test_on_are_refused(tmp_path):
    touch(tmp_path, "mug.aedat", "box.aedat")
    for count in (0, 1, FEWEST_WINDOWS - 1):
        with pytest.raises(DataError, match=f"at least 6 windows of .* got {count} in .*box.aedat"):
            long_recordings(tmp_path, lambda _, count=count: count * WINDOW)
    assert long_recordings(tmp_path, lambda _: FEWEST_WINDOWS * WINDOW).sources


def test_long_recordings_with_a_time_beyond_reason_are_refused(tmp_path):
    touch(tmp_path, "box.aedat")
    with pytest.raises(DataError, match=f"at most {MOST_WINDOWS} windows of .* got {2**40} in"):
        long_recordings(tmp_path, lambda _: 2**40 * WINDOW)


def test_first_windows_of_long_recordings_are_of_all_classes(tmp_path):
    touch(tmp_path, "mug.aedat", "box.aedat", "pen.aedat")
    found = long_recordings(tmp_path, lambda path: (21 if path.stem == "mug" else 20) * WINDOW)
    for own in parts(found).values():
        assert [source.label for source in own[:6]] == [0, 1, 2, 0, 1, 2]


def test_no_event_of_a_long_recording_is_on_both_sides(shared):
    folder = shared / "data" / "DVS128-objects"
    times = {path: read_recording(path)[0].events["t"] for path in folder.glob("*.aedat")}
    found = long_recordings(folder, lambda path: int(times[path][-1] - times[path][0]))
    for path, t in times.items():
        own = {part: [s for s in of if s.path == path] for part, of in parts(found).items()}
        sides = {
            part: np.concatenate([within(t, source.window) for source in of])
            for part, of in own.items()
        }
        assert not np.intersect1d(sides["train"], sides["test"]).size
        assert t[sides["test"]].min() - t[sides["train"]].max() >= 0.9 * WINDOW


@pytest.mark.parametrize("read", [nmnist, dvs_gesture, cifar10_dvs])
def test_folders_of_something_else_are_refused(tmp_path, read):
    with pytest.raises(DataError, match="got none for train and test"):
        read(tmp_path)
