"""From data to report on the digits, at the smallest scale that goes the whole way."""

import html
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from spikeproof.audit.schema import check
from spikeproof.audit.verdict import sentences
from spikeproof.deploy.bundle import read_bundle
from spikeproof.export.c99.build import compiler

SAMPLES = 16


@pytest.mark.timeout(900)
@pytest.mark.slow
@pytest.mark.lava
def test_network_goes_all_the_way(spikeproof, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def step(*words):
        done = spikeproof(*words, "--json")
        assert done.code == 0, done.err
        return done.json

    words = ("--data", "digits", "--out", "run", "--limit", 200)
    trained = step("train", "--preset", "digits-vanilla", "--set", "epochs=1", *words)
    assert trained["epochs"] == 1
    exported = step("export", "run", "--out", "model.nir", "--data", "digits", "--samples", 16)
    assert exported["samples"] == 16
    deployed = step("deploy", "model.nir", "--out", "bundle", "--calibrate", "digits")
    assert all(row["certificate"]["u_never_wraps"] for row in deployed["populations"])
    parity = step("parity", "bundle", "--samples", 2)
    assert (parity["differences"], parity["samples"]) == (0, 2)
    words = ("--float", "run", "--hardware", "bundle", "--data", "digits", "--out", "audit.json")
    audited = step("audit", *words, "--samples", SAMPLES, "--curve-samples", 8)
    assert check(json.loads((tmp_path / "audit.json").read_text())) == audited
    assert (audited["n"], audited["matches"]) == (SAMPLES, "Lava fixed-point model")
    reported = step("report", "audit.json", "--out", "report.html")
    page = html.unescape((tmp_path / "report.html").read_text())
    assert all(f"<p>{sentence}</p>" in page for sentence in sentences(audited))
    assert reported["verdict"] == " ".join(sentences(audited))
    verified = step("verify", "bundle")
    assert all(found["was_run"] for found in verified["checks"])

    assert read_bundle(tmp_path / "bundle").manifest["calibration"] == "digits (held out)"
    rows = pq.read_table(tmp_path / "audit.parquet")
    assert np.unique(rows["sample"].to_numpy()).tolist() == list(range(SAMPLES))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "audit.json",
        "audit.parquet",
        "bundle",
        "model.nir",
        "report.html",
        "run",
    ]


@pytest.mark.timeout(900)
@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.skipif(compiler() is None, reason="NO C COMPILER: C99 is not compared")
def test_c_onnx_lava_and_the_twin_give_the_same_logits(spikeproof, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("--data", "digits", "--out", "run", "--set", "epochs=4")
    assert spikeproof("train", "--preset", "digits-srstar", *words).code == 0
    assert spikeproof("export", "run", "--out", "model.nir", "--data", "digits").code == 0
    options = ("--calibrate", "digits", "--golden", 100, "--onnx", "--c99")
    made = spikeproof("deploy", "model.nir", "--out", "bundle", *options, "--json")
    assert made.json["c99"]["ram_bytes"] > 0
    assert len(np.load("bundle/golden.npz")["logits"]) == 100
    checks = spikeproof("verify", "bundle", "--json").json["checks"]
    ran = {check["name"]: check["was_run"] for check in checks}
    assert {name for name, was_run in ran.items() if was_run} >= {"twin", "onnx", "c99", "lava"}
