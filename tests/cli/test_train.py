"""Training as a program: killed, resumed, and in several processes."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

QUICK = (
    *("train", "--preset", "digits-srstar", "--data", "digits", "--limit", 400, "--device", "cpu"),
    *("--set", "epochs=3", "--set", "attack_steps=1", "--set", "validation_steps=1"),
    *("--set", "widths=4,6", "--set", "augment=true"),
)


def program(*words):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *(str(word) for word in words)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def assert_same_weights(ours, theirs):
    for name in ("last.safetensors", "best.safetensors", "resume.safetensors"):
        first, second = load_file(ours / name), load_file(theirs / name)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first)


def test_killed_training_resumes_to_the_same_bits(spikeproof, tmp_path):
    killed, straight = tmp_path / "killed", tmp_path / "straight"
    with program("-m", "spikeproof", *QUICK, "--out", killed) as process:
        while not (killed / "metrics.jsonl").exists() and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert len((killed / "metrics.jsonl").read_text().splitlines()) == 1
    assert spikeproof(*QUICK, "--out", killed, "--resume").code == 0
    assert spikeproof(*QUICK, "--out", straight).code == 0
    assert_same_weights(straight, killed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("starter", "options"),
    [
        (("-m", "spikeproof"), ("--devices", 2)),
        (
            (
                *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
                *("-m", "spikeproof"),
            ),
            (),
        ),
    ],
    ids=["devices", "torchrun"],
)
def test_two_processes_write_and_speak_once(tmp_path, starter, options):
    out = tmp_path / "out"
    with program(*starter, *QUICK, "--out", out, "--json", *options) as process:
        said, complaints = process.communicate(timeout=250)
    assert process.returncode == 0, complaints
    assert json.loads(said)["epochs"] == 3
    assert json.loads((out / "record.json").read_text())["processes"] == 2
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 3


@pytest.mark.slow
def test_two_processes_complain_once(tmp_path):
    words = (*QUICK, "--out", tmp_path / "out", "--devices", 2, "--set", "learning_rate=1e30")
    with program("-m", "spikeproof", *words) as process:
        _, complaints = process.communicate(timeout=250)
    assert process.returncode == 2
    assert complaints.count("expected finite numbers in training") == 1
    assert "epoch 1, step" in complaints
