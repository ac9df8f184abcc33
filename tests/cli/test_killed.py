"""Commands that run Lava, killed: no process and no shared memory is left, whenever it happens."""

import os
import signal
import time

import numpy as np
import pytest

from spikeproof.sim.oracle.cleanup import members, segments
from spikeproof.tests.deploy.networks import deploy_lattice
from spikeproof.tests.sim.lava_leftovers import (
    are_running,
    command,
    processes_naming,
    token_in,
    wait_until,
)

MOMENTS = {
    "before Lava is imported": lambda temporary: token_in(temporary) != "",
    "while Lava runs": are_running,
}
STEPS = 200_000


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """Commands that keep Lava busy for much longer than a test."""
    folder = tmp_path_factory.mktemp("net")
    bundle = deploy_lattice(folder)
    np.savez(folder / "long.npz", x=np.ones((5, 6, 2, STEPS), np.uint8), steps=STEPS)
    simulate = ["simulate", bundle / "model.net", "--input", folder / "long.npz"]
    return {
        "parity": ["parity", bundle, "--samples", 20_000],
        "simulate": [*simulate, "--out", folder / "out.npz", "--backend", "lava"],
    }


def assert_nothing_left(temporary, token):
    assert wait_until(lambda: not processes_naming(temporary), 15)
    assert not token or segments(token) == []


@pytest.mark.lava
@pytest.mark.parametrize(
    ("name", "number", "moment"),
    [
        ("parity", signal.SIGKILL, "while Lava runs"),
        ("parity", signal.SIGTERM, "before Lava is imported"),
        ("simulate", signal.SIGKILL, "before Lava is imported"),
        pytest.param("parity", signal.SIGINT, "while Lava runs", marks=pytest.mark.slow),
        pytest.param("parity", signal.SIGTERM, "while Lava runs", marks=pytest.mark.slow),
        pytest.param("simulate", signal.SIGTERM, "while Lava runs", marks=pytest.mark.slow),
        pytest.param("simulate", signal.SIGKILL, "while Lava runs", marks=pytest.mark.slow),
    ],
)
def test_killed_command_leaves_nothing(words, tmp_path, name, number, moment):
    temporary = tmp_path / "temporary"
    with command(temporary, *words[name]) as process:
        assert wait_until(lambda: MOMENTS[moment](temporary))
        token = token_in(temporary)
        process.send_signal(number)
        assert process.wait(30) != 0
    assert_nothing_left(temporary, token)
    assert wait_until(lambda: list(temporary.iterdir()) == [], 5)


@pytest.mark.lava
def test_parity_whose_worker_is_killed_says_so_and_leaves_nothing(words, tmp_path):
    temporary = tmp_path / "temporary"
    with command(temporary, *words["parity"]) as process:
        assert wait_until(lambda: are_running(temporary))
        token = token_in(temporary)
        os.kill(min(processes_naming(temporary)), signal.SIGKILL)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "got death by SIGKILL; see its last lines" in said.splitlines()[-1]
    assert_nothing_left(temporary, token)


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_killed_demo_leaves_no_worker(tmp_path, number):
    out = tmp_path / "demo"
    with command(tmp_path / "temporary", "demo", "--out", out) as process:
        assert wait_until(lambda: list(out.glob("*/checkpoint/config.json")))
        assert len(members(process.pid)) > 2
        process.send_signal(number)
        assert process.wait(30) != 0
    assert wait_until(lambda: not members(process.pid), 15)


@pytest.mark.slow
def test_killed_audit_goes_on_to_the_same_table(files, tmp_path):
    models = "--float", files / "digits.safetensors", "--hardware", files / "digits-bundle"
    data = "--data", f"npz:{files / 'tiny.npz'}", "--batch-size", 4, "--estimators", "rga"
    audit = "audit", *models, *data, "--shards", 3, "--curve-samples", 4
    whole, cut = tmp_path / "whole.json", tmp_path / "cut.json"
    first = cut.with_suffix(".parts") / "shard-00000-of-00003.parquet"
    with command(tmp_path / "a", *audit, "--out", whole) as process:
        assert process.wait(250) == 0
    with command(tmp_path / "b", *audit, "--out", cut) as process:
        assert wait_until(first.exists, 250)
        process.send_signal(signal.SIGKILL)
        assert process.wait(30) != 0
    with command(tmp_path / "c", *audit, "--out", cut, "--resume") as process:
        assert process.wait(250) == 0
    assert cut.with_suffix(".parquet").read_bytes() == whole.with_suffix(".parquet").read_bytes()
    assert cut.read_bytes() == whole.read_bytes()


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_command_killed_at_a_random_moment_leaves_nothing(words, tmp_path, seed):
    rng = np.random.default_rng(seed)
    temporary, token = tmp_path / "temporary", ""
    end = time.monotonic() + rng.uniform(0.2, 20.0)
    with command(temporary, *words[("parity", "simulate")[seed % 2]]) as process:
        while time.monotonic() < end:
            token = token or token_in(temporary)
            time.sleep(0.01)
        process.send_signal(rng.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL]))
        assert process.wait(30) != 0
    assert_nothing_left(temporary, token)
