"""Simulated CIFAR10-DVS: read as the real one, and known for what it is."""

from dataclasses import replace

import numpy as np
import pytest

from spikeproof.core.errors import ConfigError, DataError, FormatError
from spikeproof.core.files import read_json, write_json
from spikeproof.datasets.dvs_camera import CameraConfig
from spikeproof.datasets.image_data import ImageData, fingerprint
from spikeproof.datasets.images import load
from spikeproof.datasets.moving_image import MotionConfig
from spikeproof.datasets.recording_sets import OBJECTS, cifar10_dvs
from spikeproof.datasets.recordings import read_recording
from spikeproof.datasets.simulated_dvs import SimulationConfig, simulate
from spikeproof.datasets.simulation import SIMULATION

QUICK = SimulationConfig(
    per_class=10,
    camera=CameraConfig(threshold_on=0.8, threshold_off=0.8),
    motion=MotionConfig(loops=1),
)


def tiny(*, classes=2, test=1):
    """Nine training images of each class, as many test images, all different."""
    draw = np.random.default_rng(0)
    labels = np.repeat(np.arange(classes), 9 + test)
    images = draw.integers(0, 256, (len(labels), 1, 4, 4), dtype=np.uint8)
    order = np.argsort(np.tile(np.arange(9 + test) == 9, classes), kind="stable")
    images, labels, cut = images[order], labels[order], classes * 9
    return ImageData(
        name="tiny",
        train_images=images[:cut],
        train_labels=labels[:cut],
        test_images=images[cut:] if test else images[:1],
        test_labels=labels[cut:] if test else labels[:1],
        classes=tuple(f"thing {k}" for k in range(classes)),
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The same recordings in both formats. Not to be changed."""
    pytest.importorskip("dv_processing")
    folder = tmp_path_factory.mktemp("simulated")
    for kind in ("aedat", "aedat4"):
        simulate(replace(QUICK, format=kind), tiny(), folder / kind)
    return folder


def test_files_have_the_published_names(folders):
    for kind in ("aedat", "aedat4"):
        found = sorted(str(p.relative_to(folders / kind)) for p in (folders / kind).glob("*/*"))
        names = [f"{n}/cifar10_{n}_{k}.{kind}" for n in OBJECTS[:2] for k in range(10)]
        assert found == sorted(names)


def test_both_formats_hold_the_same_events(folders):
    for path in sorted((folders / "aedat").glob("*/*.aedat")):
        first, _ = read_recording(path)
        other = folders / "aedat4" / path.parent.name / f"{path.stem}.aedat4"
        second, _ = read_recording(other)
        assert len(first) > 100
        np.testing.assert_array_equal(first.events, second.events)
        assert (first.height, first.width) == (second.height, second.width) == (128, 128)


def test_tonic_reads_the_same_events(folders):
    tonic = pytest.importorskip("tonic")
    for path in sorted((folders / "aedat4").glob("*/*.aedat4"))[:4]:
        ours, theirs = read_recording(path)[0].events, tonic.io.read_aedat4(str(path))
        for name, other in (("t", "t"), ("x", "x"), ("y", "y"), ("p", "on")):
            np.testing.assert_array_equal(ours[name], theirs[other])


def test_seeds_give_the_same_bytes_and_others_do_not(folders, tmp_path):
    pytest.importorskip("dv_processing")
    for name, seed in (("same", 0), ("other", 1)):
        for kind in ("aedat", "aedat4"):
            config = replace(QUICK, format=kind, seed=seed)
            simulate(config, tiny(classes=1), tmp_path / name / kind)
            for path in sorted((tmp_path / name / kind).glob("*/*")):
                first = folders / kind / path.parent.name / path.name
                assert (path.read_bytes() == first.read_bytes()) == (seed == 0)


def test_the_folder_and_every_file_say_that_they_are_simulated(folders, monkeypatch, tmp_path):
    monkeypatch.setenv("SPIKEPROOF_CACHE", str(tmp_path))
    for kind in ("aedat", "aedat4"):
        found = load(f"cifar10-dvs:{folders / kind}")
        assert (found.name, found.is_simulated) == ("tiny-dvs-simulated", True)
        assert found.classes == ("thing 0", "thing 1")
        record = read_json(folders / kind / SIMULATION)
        assert (record["simulated"], record["images"]["name"]) == (True, "tiny")
        assert record["images"]["fingerprint"] == fingerprint(tiny())
        for path in (folders / kind).glob("*/*"):
            assert b"imulated" in path.read_bytes()[:2000]


def test_both_formats_are_one_data_set(folders, monkeypatch, tmp_path):
    monkeypatch.setenv("SPIKEPROOF_CACHE", str(tmp_path))
    first, second = (load(f"cifar10-dvs:{folders / kind}") for kind in ("aedat", "aedat4"))
    assert fingerprint(first) == fingerprint(second)


def test_a_folder_without_the_file_is_the_real_data_set(folders, tmp_path):
    """The layout of the real one, and nothing else, is what the reader needs."""
    for kind in ("aedat", "aedat4"):
        real = tmp_path / kind
        for name in OBJECTS:
            (real / name).mkdir(parents=True)
            for number in range(10):
                source = folders / kind / OBJECTS[0] / f"cifar10_{OBJECTS[0]}_{number}.{kind}"
                (real / name / f"cifar10_{name}_{number}.{kind}").hardlink_to(source)
        found = cifar10_dvs(real)
        assert (found.name, found.classes, found.is_simulated) == ("cifar10-dvs", OBJECTS, False)
        assert [s.path.stem[-1] for s in found.sources if s.part == "test"] == ["9"] * 10


def test_test_images_are_recorded_for_testing_alone(tmp_path):
    """Other test images change the recordings that the split keeps for testing, and no other."""
    data = tiny(classes=1)
    swapped = replace(data, test_images=255 - data.test_images)
    for name, images in (("a", data), ("b", swapped)):
        simulate(replace(QUICK, format="aedat"), images, tmp_path / name)
    changed = [
        path.name
        for path in sorted((tmp_path / "a").glob("*/*.aedat"))
        if path.read_bytes() != (tmp_path / "b" / path.parent.name / path.name).read_bytes()
    ]
    assert changed == [f"cifar10_{OBJECTS[0]}_9.aedat"]


def test_a_refused_simulation_leaves_what_was_there(tmp_path):
    (tmp_path / "mine").write_text("keep")
    with pytest.raises(ConfigError, match="expected a new or empty folder, got"):
        simulate(replace(QUICK, format="aedat"), tiny(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (tiny(classes=11), "expected at most 10 classes, one for each of CIFAR10-DVS's, got 11"),
        (tiny(test=0), "expected 1 test images of class 'thing 1' in tiny, got 0; record fewer"),
        (replace(tiny(), steps=1), "expected images to record, got the recordings of tiny"),
    ],
)
def test_data_that_cannot_be_recorded_is_refused(data, message, tmp_path):
    with pytest.raises(DataError, match=message):
        simulate(QUICK, data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_options_of_a_simulation_are_checked():
    with pytest.raises(ConfigError, match=r"expected 10\.\.1000 recordings of a class, got 9"):
        SimulationConfig(per_class=9)
    with pytest.raises(ConfigError, match="expected a format of recordings among aedat, aedat4"):
        SimulationConfig(format="avi")


def test_damaged_markers_and_mixed_folders_are_refused(folders, tmp_path):
    write_json(tmp_path / SIMULATION, {"format": "something else"})
    with pytest.raises(FormatError, match="expected format 'spikeproof simulated recordings 1'"):
        cifar10_dvs(tmp_path)
    record = read_json(folders / "aedat" / SIMULATION)
    write_json(tmp_path / SIMULATION, record)
    for number in (0, 9):
        path = tmp_path / "truck" / f"cifar10_truck_{number}.aedat"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    with pytest.raises(DataError, match="expected recordings of 2 classes in .*separate folders"):
        cifar10_dvs(tmp_path)
