"""Recordings of an event camera on the command line."""

import nir
import numpy as np
import pytest

from spikeproof.core.files import read_json
from spikeproof.datasets.images import load
from spikeproof.deploy.bundle import read_bundle
from spikeproof.deploy.deployment import frames_of
from spikeproof.deploy.executors import run_on_lava, run_twin

SAMPLES = 4
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
    few = "--search-samples", 16, "--golden", 2
    deployed = spikeproof("deploy", model, "--calibrate", data, *few, "--out", chip, "--json")
    assert (deployed.code, len(deployed.json["populations"])) == (0, 4)
    manifest = read_json(chip / "manifest.json")
    assert manifest["metadata"]["encoding"] == "frames"
    assert manifest["calibration"].endswith("128 recordings of the training part, split by seed 0")
    checked = spikeproof("verify", chip)
    assert checked.code == 0, checked.out + checked.err


def damaged(shared, folder):
    """A few of N-MNIST's recordings, one of each part cut off within its last event."""
    source = shared / "data" / "NMNIST"
    for part, count in (("Train", 12), ("Test", 4)):
        found = sorted(source.glob(f"{part}/*/*.bin"), key=lambda path: path.stem)[:count]
        for n, path in enumerate(found):
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes()[: None if n else -2])
    return f"nmnist:{folder}"


def test_damaged_recordings_are_refused_or_mended_and_counted(
    spikeproof, shared, tmp_path, monkeypatch
):
    monkeypatch.setenv("SPIKEPROOF_CACHE", str(tmp_path / "cache"))
    data, out = damaged(shared, tmp_path / "data"), tmp_path / "net"
    settings = [word for setting in QUICK for word in ("--set", setting)]
    train = ("train", "--preset", "nmnist-vanilla", "--data", data, "--out", out, *settings)
    refused = spikeproof(*train, "--device", "cpu")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "the file is truncated: copy it again, or repair the recording" in refused.err
    done = spikeproof(*train, "--device", "cpu", "--repair")
    assert done.code == 0, done.err
    assert "left out or mended 6 bytes behind the last whole record" in done.out
    export = ("export", out, "--data", data, "--samples", 2, "--out", tmp_path / "model.nir")
    assert spikeproof(*export).code == 2
    assert spikeproof(*export, "--repair").code == 0


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def prepared(spikeproof, data, folder):
    """A small network that has learnt something and its chip, made on the command line."""
    settings = [word for setting in (*QUICK[1:], "epochs=12") for word in ("--set", setting)]
    words = ("--preset", "nmnist-vanilla", "--data", data, "--out", folder / "net", "--limit", 300)
    for step in (
        ("train", *words, "--device", "cpu", *settings),
        ("export", folder / "net", "--data", data, "--samples", 4, "--out", folder / "model.nir"),
        ("deploy", folder / "model.nir", "--out", folder / "chip"),
    ):
        done = spikeproof(*step)
        assert done.code == 0, done.err
    return ("--float", folder / "net", "--hardware", folder / "chip", "--data", data)


def audited(spikeproof, models, folder, *words):
    """The audit of a few recordings, and what it wrote down of them."""
    out = ("--out", folder / "audit.json", "--recordings", folder / "adversarial")
    sizes = ("--samples", SAMPLES, "--batch-size", SAMPLES, "--curve-samples", 1)
    few = ("--suite", "events", "--estimators", "triangle", "--device", "cpu")
    done = spikeproof("audit", *models, *few, *sizes, *out, *words)
    assert done.code == 0, done.err
    return done, read_json(folder / "adversarial" / "recordings.json")


def frames_in(chip, spec):
    """The first test recordings of a data set as a chip takes them."""
    bundle = read_bundle(chip)
    frames = frames_of(bundle.nir, given=bundle.metadata)
    return np.array(load(spec, frames=frames).test_images[:SAMPLES])


def changes(row):
    return row["added"] + row["removed"]


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.timeout(900)
def test_recordings_that_an_audit_writes_fool_twin_and_lava(
    spikeproof, shared, tmp_path, cache, monkeypatch
):
    monkeypatch.setenv("SPIKEPROOF_CACHE", str(cache))
    models = prepared(spikeproof, f"nmnist:{shared}/data/NMNIST", tmp_path)
    done, written = audited(spikeproof, models, tmp_path)
    rows = written["samples"]
    assert [row["sample"] for row in rows] == list(range(SAMPLES))
    assert f"wrote {tmp_path / 'adversarial'}: {SAMPLES} test recordings" in done.out
    assert any(changes(row) for row in rows)
    stacks = frames_in(tmp_path / "chip", f"nmnist:{tmp_path / 'adversarial'}")
    bundle = read_bundle(tmp_path / "chip")
    said = [row["said"][1] for row in rows]
    assert run_twin(bundle.program, stacks).predictions.tolist() == said
    assert run_on_lava(bundle, stacks, timeout=300.0).predictions.tolist() == said
    lost = [row["said"][1] != row["label"] for row in rows]
    audit = read_json(tmp_path / "audit.json")
    on_events = [a for a in audit["attacks"] if a["budget"] is not None]
    assert 1 - np.mean(lost) <= min(a["accuracy"]["hardware_on_hardware"] for a in on_events)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--suite", "events"), "expected recordings among nmnist:DIR"),
        (("--suite", "quick"), "expected a suite that changes whole events, got 'quick'"),
        (("--shard", 0), "expected --recordings where all shards are collected"),
    ],
)
def test_recordings_that_cannot_be_written_are_refused_first(
    spikeproof, files, tmp_path, words, said
):
    models = ("--float", files / "digits.safetensors", "--hardware", files / "digits-bundle")
    out = ("--out", tmp_path / "audit.json", "--recordings", tmp_path / "adversarial")
    done = spikeproof("audit", *models, "--data", "digits", *out, *words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_absent_recordings_are_one_line(spikeproof, tmp_path):
    words = ("--preset", "nmnist-at", "--data", f"nmnist:{tmp_path}", "--out", tmp_path / "out")
    done = spikeproof("train", *words)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "expected recordings of nmnist for training and testing" in done.err
