"""`spikeproof record`: simulated recordings that train, and are called simulated all the way."""

import nir
import numpy as np
import pytest

from spikeproof.audit.deployed import data_context
from spikeproof.cli.tuning import held_out
from spikeproof.core.files import read_json
from spikeproof.datasets.images import load
from spikeproof.datasets.simulation import SIMULATION

FEW = ("--per-class", 10, "--loops", 1, "--threshold-on", 0.8, "--threshold-off", 0.8)
SMALL = ("epochs=1", "steps=3", "frame_size=16", "widths=4,6,6", "hidden=8", "validation_steps=1")


SCENES = 20
"""Nine training images and one test image of each of two classes."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where images lie, and where their recordings go."""
    folder = tmp_path_factory.mktemp("record")
    images = np.random.default_rng(0).integers(0, 256, (SCENES, 4, 4, 1), dtype=np.uint8)
    labels = np.arange(SCENES) % 2
    np.savez(
        folder / "few.npz",
        train_images=images[:-2],
        train_labels=labels[:-2],
        test_images=images[-2:],
        test_labels=labels[-2:],
    )
    return folder


def test_recorded_images_train_and_stay_simulated(spikeproof, folder, monkeypatch):
    monkeypatch.setenv("SPIKEPROOF_CACHE", str(folder / "cache"))
    out = folder / "dvs"
    images = f"npz:{folder / 'few.npz'}"
    words = ("--data", images, "--out", out, "--format", "aedat", *FEW, "--json")
    done = spikeproof("record", *words)
    assert (done.code, done.json["recordings"], done.json["simulated"]) == (0, SCENES, True)
    assert read_json(out / SIMULATION)["events"] == done.json["events"] > 1000
    data = f"cifar10-dvs:{out}"
    settings = [word for setting in SMALL for word in ("--set", setting)]
    words = ("--preset", "dvs-vanilla-small", "--data", data, "--out", folder / "net", *settings)
    assert spikeproof("train", *words, "--device", "cpu").code == 0
    record = read_json(folder / "net" / "record.json")["data"]
    assert (record["name"], record["simulated"]) == ("few-dvs-simulated", True)
    assert read_json(folder / "net" / "config.json")["simulated"] is True
    model = folder / "model.nir"
    assert spikeproof("export", folder / "net", "--out", model).code == 0
    assert nir.read(model).metadata["encoding"] == "frames"
    assert "simulated recordings of the training part" in held_out(data, seed=0).source
    context = data_context(load(data))
    assert (context["data"], context["simulated"]) == ("few-dvs-simulated", True)


def test_recording_again_replaces_simulated_folders_alone(spikeproof, folder, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    words = ("--data", "digits", "--format", "aedat", *FEW)
    done = spikeproof("record", *words, "--out", tmp_path)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "expected a new or empty folder" in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--format", "mp4"), "expected a format of recordings among aedat, aedat4, got 'mp4'"),
        (("--per-class", "3"), "expected 10..1000 recordings of a class, got 3"),
        (("--per-class", "1000"), "expected 900 train images of class '0' in digits, got"),
        (("--refractory", "0"), "expected a refractory period of 1..1000000 us, got 0"),
    ],
)
def test_bad_options_end_in_one_line(spikeproof, tmp_path, words, message):
    done = spikeproof("record", "--data", "digits", "--out", tmp_path / "out", *words)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert message in done.err
    assert not (tmp_path / "out").exists()
