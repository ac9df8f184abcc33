"""Lava as an oracle: equal to the recorded traces, and gone without a trace however it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError
from typing import Any

import h5py
import numpy as np
import pytest

from spikeproof.core.errors import (
    ConfigError,
    DataError,
    FormatError,
    MissingAbilityError,
    OracleError,
)
from spikeproof.sim.oracle import run as lava
from spikeproof.sim.oracle.cleanup import segments
from spikeproof.sim.oracle.run import LavaRequest, lava_status, run_lava
from spikeproof.tests.sim.lava_leftovers import processes_naming, wait_until

FOREVER = 2_000_000
CALLER = """
import sys, numpy as np
from pathlib import Path
from spikeproof.sim.oracle.run import LavaRequest, run_lava
steps = int(sys.argv[2])
x = np.ones((4, steps), np.uint8)
run_lava(LavaRequest(network=Path(sys.argv[1]), steps=steps, x=x), trace=False)
"""


def write_net(path, layers):
    """A `.net` file from one dict a layer; `neuron` True adds CUBA neurons."""
    with h5py.File(path, "w") as file:
        for index, layer in enumerate(layers):
            group = file.create_group(f"layer/{index}")
            for name, value in layer.items():
                group[name] = np.bytes_(value) if isinstance(value, str) else np.asarray(value)
    return path


def neuron(threshold=5, **more):
    fields = {"type": "CUBA", "iDecay": 1024, "vDecay": 128, "vThMant": threshold}
    return {f"neuron/{name}": value for name, value in (fields | more).items()}


def dense(n, m, **more):
    weight = np.arange(n * m).reshape(n, m) % 7 - 2
    return {"type": "dense", "shape": [n], "weight": weight} | more


def tiny_net(path, **fields):
    layers = [{"type": "input", "shape": [4]}, dense(3, 4, **neuron(**fields))]
    return write_net(path, layers)


def request_of(network, **more):
    return LavaRequest(network=network, steps=6, x=np.ones((4, 6), np.uint8), **more)


def test_status_names_what_is_missing(monkeypatch):
    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(lava, "version", absent)
    status = lava_status()
    assert (status.available, status.versions) == (False, {})
    assert status.reason == "lava-nc and lava-dl not installed"


def test_status_refuses_other_versions(monkeypatch):
    monkeypatch.setattr(lava, "version", lambda name: "0.9.0")
    assert "got lava-nc 0.9.0" in lava_status().reason


def test_run_without_lava_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(lava, "_installed", lambda name: "")
    with pytest.raises(MissingAbilityError, match="pip install --ignore-requires-python --no-deps"):
        run_lava(request_of(tiny_net(tmp_path / "a.net")))


def test_caller_does_not_import_lava():
    code = "import spikeproof.sim.oracle.run, sys; sys.exit('lava' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_request_refuses_a_missing_file(tmp_path):
    with pytest.raises(FormatError, match="expected a .net file, got .*absent.net"):
        request_of(tmp_path / "absent.net")


@pytest.mark.parametrize(
    ("field", "value"), [("reset_interval", 0), ("input_message_bits", -1), ("steps", 0)]
)
def test_request_refuses_numbers_out_of_range(tmp_path, field, value):
    options: dict[str, Any] = {"steps": 1, field: value}
    with pytest.raises(ConfigError, match=f"expected {field} >= .*, got {value}"):
        LavaRequest(network=tiny_net(tmp_path / "a.net"), **options)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones((4, 5), int), "expected x with 6 steps on its last axis"),
        (np.ones(6, int), "expected x with 6 steps on its last axis"),
        (np.ones((4, 6)), "expected x of integers, got float64"),
    ],
)
def test_request_refuses_impossible_input(tmp_path, x, message):
    with pytest.raises(DataError, match=message):
        LavaRequest(network=tiny_net(tmp_path / "a.net"), steps=6, x=x)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan")])
def test_run_refuses_a_timeout_that_is_none(tmp_path, seconds):
    with pytest.raises(ConfigError, match="expected a finite timeout above 0 s"):
        run_lava(request_of(tiny_net(tmp_path / "a.net")), timeout=seconds)


@pytest.mark.lava
@pytest.mark.parametrize("name", ["mlp_cuba", "conv_reset", "wrap_clip"])
@pytest.mark.usefixtures("nothing_left")
def test_lava_reproduces_its_recorded_traces(shared, name):
    with np.load(shared / "lava-golden" / f"{name}.npz") as file:
        golden = dict(file)
    inputs: dict[str, Any] = {
        key: golden.pop(key, None) for key in ("steps", "x", "input_bias", "reset_interval")
    }
    numbers: dict[str, Any] = {
        key: int(value) for key, value in inputs.items() if value is not None and value.ndim == 0
    }
    network = shared / "lava-golden" / f"{name}.net"
    options: dict[str, Any] = {**inputs, **numbers}
    found = run_lava(LavaRequest(network=network, **options))
    assert sorted(found) == sorted(golden)
    for key, value in golden.items():
        assert found[key].dtype == value.dtype
        np.testing.assert_array_equal(found[key], value, err_msg=key)


@pytest.mark.lava
def test_lava_runs_every_dense_layer_of_netx(tmp_path):
    layers = [
        {"type": "input", "shape": [4]},
        dense(5, 4, delay=np.arange(5), bias=np.arange(5), **neuron()),
        dense(3, 5, weight_rec=np.eye(3) * 2 - 1, **neuron()) | {"type": "dense_rec"},
        dense(2, 3),
    ]
    found = run_lava(request_of(write_net(tmp_path / "a.net", layers)))
    assert {key: value.shape for key, value in found.items() if key[0] == "s"} == {
        "s0": (5, 6),
        "s1": (3, 6),
        "s2": (2, 6),
    }
    assert found["s0"].any()
    assert not found["s2"].any()
    np.testing.assert_array_equal(found["u2"], found["v2"])


@pytest.mark.lava
def test_lava_runs_maps_wider_than_127_with_payloads(tmp_path, rng):
    geometry = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1}
    conv = {"type": "conv", "shape": [1, 1, 140], "weight": np.full((1, 1, 1, 1), 3), **geometry}
    network = write_net(
        tmp_path / "a.net",
        [{"type": "input", "shape": [1, 1, 140]}, conv | neuron(threshold=131071, iDecay=4096)],
    )
    x = rng.integers(-200, 200, (140, 1, 1, 4))
    found = run_lava(LavaRequest(network=network, steps=4, x=x, input_message_bits=9))
    np.testing.assert_array_equal(found["u0"][..., 1:], 3 * 64 * x[..., :-1])


@pytest.mark.lava
def test_lava_without_trace_returns_only_spikes(tmp_path):
    found = run_lava(request_of(tiny_net(tmp_path / "a.net")), trace=False)
    assert list(found) == ["s0"]


@pytest.mark.lava
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"messageBits": 8}, "TypeError: '>' not supported"),
        ({"threshold": 1e300}, "TypeError: ufunc 'left_shift' not supported"),
        ({"type": "SDNN"}, "expected layer 0 to have CUBA or LOIHI neurons, got SigmaDelta"),
    ],
    ids=["while compiling", "in a process of Lava", "other neurons"],
)
@pytest.mark.usefixtures("nothing_left")
def test_lava_failing_ends_with_its_last_lines(tmp_path, fields, message):
    request = request_of(tiny_net(tmp_path / "a.net", **fields))
    start = time.monotonic()
    with pytest.raises(OracleError, match=r"got exit 1; see its last lines\n") as raised:
        run_lava(request, timeout=200.0)
    assert time.monotonic() - start < 100
    (tail,) = raised.value.__notes__
    assert message in tail
    assert len(tail.splitlines()) <= 1 + lava.TAIL_LINES


@pytest.mark.lava
@pytest.mark.usefixtures("nothing_left")
def test_lava_refuses_a_bias_for_a_network_without_input_block(tmp_path):
    request = request_of(tiny_net(tmp_path / "a.net"), input_bias=np.ones(3, int))
    with pytest.raises(OracleError) as raised:
        run_lava(request)
    assert "expected an input block for input_bias, got Dense" in raised.value.__notes__[0]


@pytest.mark.lava
@pytest.mark.parametrize("seconds", [0.2, 15.0])
@pytest.mark.usefixtures("nothing_left")
def test_lava_is_killed_at_the_timeout(tmp_path, seconds):
    x = np.ones((4, FOREVER), np.uint8)
    request = LavaRequest(network=tiny_net(tmp_path / "a.net"), steps=FOREVER, x=x)
    start = time.monotonic()
    with pytest.raises(OracleError, match=f"no answer within {seconds:g} s"):
        run_lava(request, trace=False, timeout=seconds)
    assert time.monotonic() - start < seconds + 10


@pytest.mark.lava
@pytest.mark.usefixtures("nothing_left")
def test_lava_losing_a_process_fails_at_once(tmp_path):
    x = np.ones((4, FOREVER), np.uint8)
    request = LavaRequest(network=tiny_net(tmp_path / "a.net"), steps=FOREVER, x=x)
    word = lava.secrets.token_hex(8)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(run_lava, request, trace=False, timeout=100.0)
        assert wait_until(lambda: len(segments(f"spikeproof-{word}")) > 8)
        # The worker is the oldest, then come its watchdog and the processes of Lava.
        os.kill(max(processes_naming(tmp_path)), signal.SIGKILL)
        with pytest.raises(OracleError) as raised:
            answer.result(30)
    assert "a process of Lava died by SIGKILL" in raised.value.__notes__[0]


@pytest.mark.lava
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_lava_does_not_outlive_a_caller_that_is_killed(tmp_path, number):
    network = tiny_net(tmp_path / "a.net")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-c", CALLER, str(network), str(FOREVER)]
    environment = os.environ | {"TMPDIR": str(temporary)}
    with subprocess.Popen(
        command,
        env=environment,
        stderr=subprocess.DEVNULL,
        # A shell starts what runs in its background with SIGINT ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as caller:
        try:
            assert wait_until(lambda: list(temporary.glob("*/request.json")))
            token = json.loads(next(temporary.glob("*/request.json")).read_text())["token"]
            assert wait_until(lambda: len(segments(token)) > 8)
            assert wait_until(lambda: len(processes_naming(temporary)) > 4)
            caller.send_signal(number)
            assert caller.wait(20) != 0
        finally:
            caller.kill()
    assert wait_until(lambda: not processes_naming(temporary), 5)
    assert segments(token) == []
    assert list(temporary.iterdir()) == []
