"""What commands do when all is well, bar simulating and the long way through."""

import json
import shutil
import sys

import h5py
import numpy as np
import pytest
import torch

from spikeproof.core.files import sha256
from spikeproof.deploy.bundle import read_bundle, seal
from spikeproof.export.onnx_scope import run_onnx
from spikeproof.sim import byte_conv
from spikeproof.sim.graph.network import NirNetwork
from spikeproof.tests.deploy.networks import (
    add_to,
    random_network,
)


def hashes(folder):
    return {path.name: sha256(path) for path in folder.iterdir()}


def test_doctor_tells_versions_device_and_lava(spikeproof):
    done = spikeproof("doctor", "--json", "--device", "cpu")
    assert (done.code, done.err) == (0, "")
    assert done.json["device"] == "cpu"
    assert done.json["exact_sums"] is True
    assert {"python", "spikeproof", "numpy", "torch"} < set(done.json["versions"])
    assert set(done.json["lava"]) == {"available", "reason", "install"}


def test_doctor_tells_which_arithmetic_is_in_use(spikeproof, monkeypatch):
    monkeypatch.setattr(byte_conv, "missing_reason", lambda: "a sum was off by 1")
    done = spikeproof("doctor", "--json", "--device", "cpu")
    assert done.json["byte_convolution"] == {"available": False, "reason": "a sum was off by 1"}
    assert (
        "float32: bytes are not used, a sum was off by 1"
        in spikeproof("doctor", "--device", "cpu").out
    )


@pytest.mark.usefixtures("no_lava")
def test_doctor_says_how_to_get_lava(spikeproof):
    done = spikeproof("doctor")
    assert done.code == 0
    assert "not usable: lava-nc and lava-dl not installed; install it with `pip" in done.out
    assert spikeproof("doctor", "--json").json["lava"]["available"] is False


def test_deploy_writes_a_bundle_and_its_report(spikeproof, files, tmp_path):
    done = spikeproof("deploy", files / "model.nir", "--out", tmp_path / "b", "--json", "--bits", 6)
    assert (done.code, done.err) == (0, "")
    report = done.json
    assert report.pop("bundle") == str(tmp_path / "b")
    assert json.loads((tmp_path / "b/chip.json").read_text()) == report
    assert read_bundle(tmp_path / "b").manifest["config"]["bits"] == 6
    assert max(row["weight_peak"] for row in report["populations"]) == 31


def test_fit_estimates_what_golden_samples_cost(spikeproof, files, tmp_path):
    spikeproof("deploy", files / "model.nir", "--out", tmp_path / "b")
    cost = spikeproof("fit", tmp_path / "b", "--chip", "loihi1", "--cost", "--json").json["cost"]
    assert cost["energy_joules"][0] < cost["energy_joules"][1]
    assert sum(row["spikes"] for row in cost["operations"]) == pytest.approx(
        cost["total"]["spikes"]
    )
    text = spikeproof("fit", tmp_path / "b", "--chip", "loihi1", "--cost").out
    assert "(an estimate)" in text
    assert "NeuroBench: Footprint" in text


def test_deploy_prints_a_line_a_population(spikeproof, files, tmp_path):
    done = spikeproof("deploy", files / "model.nir", "--out", tmp_path / "b")
    first, header, *rows = done.out.splitlines()
    assert first == f"wrote {tmp_path / 'b'}"
    assert header.split()[:3] == ["population", "neurons", "synapses"]
    assert [row.split()[0] for row in rows[:4]] == ["fire1", "fire2", "fire3", "last"]
    assert rows[4].startswith("note: fire1: v may be clipped at its negative rail")


def test_deploy_twice_gives_equal_bytes(spikeproof, files, tmp_path):
    for name in ("a", "b"):
        spikeproof("deploy", files / "digits.nir", "--out", tmp_path / name, "--seed", 3)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")


def test_deploy_takes_metadata_that_the_file_lacks(spikeproof, files, tmp_path):
    with h5py.File(tmp_path / "model.nir", "w") as file:
        with h5py.File(files / "model.nir") as source:
            source.copy(source["node"], file, "node")
        for name in ("dt", "steps"):
            del file[f"node/metadata/{name}"]
    words = ("deploy", tmp_path / "model.nir", "--out", tmp_path / "b")
    assert spikeproof(*words).code == 2
    assert spikeproof(*words, "--dt", 0.25, "--steps", 6).code == 0
    theirs, ours = (read_bundle(path).program for path in (files / "bundle", tmp_path / "b"))
    assert [p.vth for p in ours.populations] == [p.vth for p in theirs.populations]


@pytest.mark.usefixtures("no_lava")
def test_verify_says_what_was_not_run(spikeproof, files):
    done = spikeproof("verify", files / "bundle")
    assert (done.code, done.err) == (0, "")
    assert [line.split()[0] for line in done.out.splitlines()] == [
        "hashes",
        "twin",
        "trace",
        "float",
        "lava",
    ]
    assert "not run: lava-nc and lava-dl not installed" in done.out
    checks = spikeproof("verify", files / "bundle", "--json").json["checks"]
    assert [check["was_run"] for check in checks] == [True, True, True, True, False]


@pytest.mark.parametrize("data", [[], ["--data", "npz:tiny.npz"]], ids=["noise", "data"])
def test_export_writes_an_equal_network(spikeproof, files, tmp_path, monkeypatch, data):
    monkeypatch.chdir(files)
    out = tmp_path / "model.nir"
    words = ("export", "digits.safetensors", "--out", out, "--samples", 4, *data, "--json")
    done = spikeproof(*words)
    assert (done.code, done.err) == (0, "")
    assert (done.json["out"], done.json["samples"]) == (str(out), 4)
    stated = json.loads((tmp_path / "model.nir.config.json").read_text())
    assert (stated["command"], stated["options"]["samples"]) == ("export", 4)
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8), dtype=np.uint8)
    x = np.asarray(images, dtype=np.float32) / 255
    network = NirNetwork.load(out)
    assert network.meta.classes == (tuple(str(k) for k in range(10)) if data else ())
    np.testing.assert_allclose(
        network(tensor(x)).numpy(), random_network()(tensor(x)).detach().numpy(), atol=1e-5
    )


def test_export_writes_onnx_beside_nir(spikeproof, files, tmp_path):
    out, onnx = tmp_path / "model.nir", tmp_path / "model.onnx"
    words = ("export", files / "digits.safetensors", "--out", out, "--samples", 4, "--onnx", onnx)
    done = spikeproof(*words, "--json")
    assert (done.code, done.err) == (0, "")
    assert (done.json["onnx"]["out"], done.json["onnx"]["samples"]) == (str(onnx), 4)
    assert run_onnx(onnx, {"images": np.zeros((2, 1, 8, 8), np.float32)})["logits"].shape == (2, 10)
    assert f"wrote {onnx}: " in spikeproof(*words).out
    assert json.loads((tmp_path / "model.onnx.config.json").read_text())["command"] == "export"


@pytest.mark.lava
@pytest.mark.parametrize("sums", ["integer", "float32"])
def test_deploy_seals_an_onnx_file_that_verify_runs(spikeproof, files, tmp_path, sums):
    words = ("deploy", files / "digits.nir", "--out", tmp_path / "b", "--onnx", "--onnx-sums", sums)
    assert spikeproof(*words).code == 0
    assert read_bundle(tmp_path / "b").manifest["config"]["onnx"] == sums
    checks = spikeproof("verify", tmp_path / "b", "--json").json["checks"]
    (found,) = (check for check in checks if check["name"] == "onnx")
    assert found["detail"] == "16 golden samples, 160 logits equal"


@pytest.mark.parametrize("name", ["onnx", "onnxruntime"])
def test_missing_library_is_told_before_long_work(spikeproof, files, tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    for words in (
        ("deploy", files / "digits.nir", "--out", tmp_path / "b", "--onnx"),
        ("export", files / "digits.safetensors", "--out", tmp_path / "m.nir", "--onnx", "m.onnx"),
    ):
        done = spikeproof(*words)
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert f"expected {name} to write ONNX files" in done.err
    assert list(tmp_path.iterdir()) == []


def test_doctor_says_how_to_get_onnx(spikeproof, monkeypatch):
    assert spikeproof("doctor", "--json").json["onnx"] == {"available": True, "reason": ""}
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    found = spikeproof("doctor", "--json").json["onnx"]
    assert found["available"] is False
    assert "pip install 'spikeproof[onnx]'" in found["reason"]


def tensor(x):
    return torch.from_numpy(x)


@pytest.mark.lava
def test_parity_counts_what_it_compared(spikeproof, files):
    done = spikeproof("parity", files / "bundle", "--samples", 2, "--json")
    assert (done.code, done.err) == (0, "")
    assert (done.json["differences"], done.json["first"], done.json["samples"]) == (0, None, 2)
    assert done.json["spikes"] > 100


@pytest.mark.lava
def test_parity_takes_the_first_test_samples_of_a_data_set(spikeproof, files):
    words = ("parity", files / "digits-bundle", "--data", "digits", "--samples", 2)
    done = spikeproof(*words, "--json")
    assert (done.code, done.json["differences"], done.json["samples"]) == (0, 0, 2)
    twice = spikeproof(*words, "--input", files / "images.npz")
    assert (twice.code, twice.err.count("\n")) == (2, 1)
    assert "expected --input or --data, got both" in twice.err


@pytest.mark.lava
def test_parity_of_a_corrupted_net_fails_naming_the_place(spikeproof, files, tmp_path):
    bundle = shutil.copytree(files / "bundle", tmp_path / "bundle")
    add_to(bundle / "model.net", "layer/1/neuron/vThMant", 100)
    seal(bundle)
    done = spikeproof("parity", bundle, "--samples", 1)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "got spike of layer 'fire1', sample 0, step" in done.err
    assert "neuron (" in done.err
    assert "twin 1, Lava 0; report this" in done.err
    assert "1 samples, 4 layers" in done.out
