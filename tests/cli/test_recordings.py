"""Recordings of an event camera on the command line."""

import nir

from spikeproof.core.files import read_json

QUICK = ("epochs=1", "steps=3", "frame_size=16", "widths=4,6", "validation_steps=1")


def test_recordings_train_and_export(spikeproof, shared, tmp_path, monkeypatch):
    monkeypatch.setenv("SPIKEPROOF_CACHE", str(tmp_path / "cache"))
    data, out = f"nmnist:{shared}/data/NMNIST", tmp_path / "trained"
    settings = [word for setting in QUICK for word in ("--set", setting)]
    words = ("--preset", "nmnist-srstar", "--data", data, "--out", out, "--limit", 40, *settings)
    done = spikeproof("train", *words, "--json", "--device", "cpu")
    assert (done.code, done.json["epochs"]) == (0, 1)
    model = tmp_path / "model.nir"
    exported = spikeproof("export", out, "--data", data, "--samples", 8, "--out", model, "--json")
    assert (exported.code, exported.json["samples"]) == (0, 8)
    metadata = nir.read(model).metadata
    assert (metadata["encoding"], metadata["steps"]) == ("frames", 3)
    for what in ("norms", "heatmap"):
        words = ("--data", data, "--samples", 3, "--out", tmp_path / what, "--json")
        assert spikeproof("analyse", what, out, *words).code == 0
    chip = tmp_path / "chip"
    deployed = spikeproof("deploy", model, "--calibrate", data, "--out", chip, "--json")
    assert (deployed.code, len(deployed.json["populations"])) == (0, 4)
    manifest = read_json(chip / "manifest.json")
    assert manifest["metadata"]["encoding"] == "frames"
    assert manifest["calibration"].endswith("128 recordings of the training part, split by seed 0")
    assert spikeproof("verify", chip).code == 0


def test_absent_recordings_are_one_line(spikeproof, tmp_path):
    words = ("--preset", "nmnist-at", "--data", f"nmnist:{tmp_path}", "--out", tmp_path / "out")
    done = spikeproof("train", *words)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "expected recordings of nmnist for training and testing" in done.err
