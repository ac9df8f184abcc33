"""Pictures beside recordings: the same scenes, in frames of the same kind."""

import struct
from dataclasses import replace

import numpy as np
import pytest

from spikeproof.core.errors import DataError
from spikeproof.datasets.frames import FrameConfig
from spikeproof.datasets.images import load, split
from spikeproof.datasets.pairs import VIEWS, picture_frames

CONFIG = FrameConfig(steps=2, binning="time")
LABELS = {"train": [3, 7, 3], "test": [7, 3]}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three training scenes and two test scenes: pictures of one level each, and recordings."""
    monkeypatch.setenv("SPIKEPROOF_CACHE", str(tmp_path / "cache"))
    arrays = {}
    for part, labels in LABELS.items():
        levels = 10 * np.arange(1, len(labels) + 1, dtype=np.uint8)
        arrays[f"{part}_images"] = np.tile(levels[:, None, None, None], (1, 28, 28, 1))
        arrays[f"{part}_labels"] = np.array(labels)
        for number, label in enumerate(labels, start=1):
            path = tmp_path / "NMNIST" / part.title() / str(label) / f"{number:05}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            events = [(number, number, t) for t in (0, 50, 100 + 10 * len(labels))]
            words = (struct.pack(">BBBH", x, y, 128 | t >> 16, t & 0xFFFF) for x, y, t in events)
            path.write_bytes(b"".join(words))
    np.savez(tmp_path / "mnist-subset.npz", **arrays)
    return tmp_path


def test_both_views_of_a_scene_stand_together(folder):
    both = load(f"mnist-pairs:{folder}", frames=CONFIG)
    assert both.per_scene == 2
    assert both.train_labels.tolist() == [3, 3, 7, 7, 3, 3]
    for place, view in enumerate(VIEWS["mnist-pairs"]):
        one = load(f"mnist-pairs-{view}s:{folder}", frames=CONFIG)
        np.testing.assert_array_equal(both.train_images[place::2], one.train_images)
        np.testing.assert_array_equal(both.test_images[place::2], one.test_images)


def test_recordings_meet_the_pictures_of_their_number(folder):
    recordings = load(f"mnist-pairs-recordings:{folder}", frames=CONFIG)
    pictures = load(f"mnist-pairs-pictures:{folder}", frames=CONFIG)
    for number in (1, 2, 3):
        assert recordings.train_images[number - 1, :, number, number].sum() > 0
        assert pictures.train_images[number - 1].max() == 10 * number


def test_real_pairs_have_the_same_digits(shared, tmp_path, monkeypatch):
    monkeypatch.setenv("SPIKEPROOF_CACHE", str(tmp_path))
    config = FrameConfig(steps=6, binning="time", size=(32, 32), unit=32)
    found = load(f"mnist-pairs:{shared}/data", limit=40, frames=config)
    assert (len(found.train_labels), len(found.test_labels)) == (40, 40)
    assert found.image_shape == (2, 32, 32)
    overlaps = []
    for place in range(0, 40, 2):
        events, grey = (found.train_images[place + k].astype(float).sum(0) for k in (0, 1))
        overlaps.append(float(np.corrcoef(events.ravel(), grey.ravel())[0, 1]))
    # Events come from the edges of a digit, so they lie where it is.
    assert np.mean(overlaps) > 0.3


def test_pictures_are_in_every_step_and_polarity_up_to_the_cap(rng):
    pictures = rng.integers(0, 256, (3, 1, 4, 5), dtype=np.uint8)
    frames = picture_frames(pictures, replace(CONFIG, cap=200), (8, 7))
    assert frames.shape == (3, 4, 8, 7)
    for channel in range(4):
        np.testing.assert_array_equal(frames[:, channel, 2:6, 1:6], np.minimum(pictures[:, 0], 200))
    assert frames.sum() == 4 * np.minimum(pictures, 200).sum()


def test_a_split_keeps_the_views_of_a_scene_on_one_side(folder):
    kept, held = split(load(f"mnist-pairs:{folder}", frames=CONFIG), seed=0, holdout=0.4)
    assert (len(kept), len(held)) == (4, 2)
    assert not {i // 2 for i in kept.indices} & {i // 2 for i in held.indices}


def test_frames_that_are_too_small_for_pictures_are_refused():
    with pytest.raises(DataError, match="expected frames of at least 28x28 cells to show pictures"):
        picture_frames(np.zeros((1, 1, 28, 28), np.uint8), CONFIG, (16, 16))


def test_pairs_that_do_not_belong_together_are_refused(folder):
    spec = f"mnist-pairs:{folder}"
    moved = folder / "NMNIST" / "Test" / "3" / "00001.bin"
    (folder / "NMNIST" / "Test" / "7" / "00001.bin").rename(moved)
    with pytest.raises(DataError, match="got test recording 1 of a 3 and its picture of a 7"):
        load(spec, frames=CONFIG)
    moved.rename(folder / "NMNIST" / "Test" / "7" / "00009.bin")
    with pytest.raises(DataError, match=r"expected a test picture for every recording, got .*\.9"):
        load(spec, frames=CONFIG)
    (folder / "mnist-subset.npz").unlink()
    with pytest.raises(DataError, match=r"expected mnist-subset.npz or MNIST's files in MNIST/"):
        load(spec, frames=CONFIG)
