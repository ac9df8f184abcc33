import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spikeproof.cli.main import INTERRUPTION
from spikeproof.core.axes import lava_to_train, train_to_lava
from spikeproof.sim.netx.network import read_netx
from spikeproof.sim.oracle.cleanup import segments
from spikeproof.tests.deploy.networks import (
    STEPS,
    add_to,
)
from spikeproof.tests.reference import reference
from spikeproof.tests.sim.lava_leftovers import (
    are_running,
    command,
    processes_naming,
    token_in,
    wait_until,
)
from spikeproof.tests.sim.netx_files import layers, neuron, write

GOLDEN = ("mlp_cuba", "conv_reset", "wrap_clip")


def recorded(shared, name):
    """A network and its input, what Lava recorded, and the words of a command."""
    folder = shared / "lava-golden"
    with np.load(folder / f"{name}.npz") as file:
        traces = {key: file[key] for key in file.files if key[0] in "suv" and key[1:].isdigit()}
    return traces, [folder / f"{name}.net", "--input", folder / f"{name}.npz"]


def arrays(path):
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def assert_equal(found, expected):
    assert sorted(found) == sorted(expected)
    for key, value in expected.items():
        assert found[key].dtype == value.dtype
        np.testing.assert_array_equal(found[key], value, err_msg=key)


def test_simulate_refuses_to_write_over_its_input(spikeproof, tmp_path):
    given, network = tmp_path / "in.npz", write(tmp_path / "a.net", layers())
    np.savez(given, x=np.ones((4, 5, 2, 3), np.int32), steps=3)
    before = given.read_bytes()
    done = spikeproof("simulate", network, "--input", given, "--out", given)
    assert (done.code, given.read_bytes()) == (2, before)
    assert "expected --out to be another file than --input, got" in done.err


@pytest.mark.parametrize("backend", ["twin", pytest.param("lava", marks=pytest.mark.lava)])
@pytest.mark.parametrize("name", GOLDEN)
def test_golden_net_gives_the_recorded_traces(spikeproof, shared, tmp_path, name, backend):
    traces, words = recorded(shared, name)
    out = tmp_path / "out.npz"
    done = spikeproof("simulate", *words, "--out", out, "--backend", backend, "--trace", "--json")
    assert done.code == 0
    assert_equal(arrays(out), traces)
    spikes = {key: int(a.sum()) for key, a in traces.items() if key[0] == "s"}
    assert done.json == {"out": str(out), "backend": backend, "kind": ".net", "spikes": spikes}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.npz", "out.npz.config.json"]


def test_what_was_asked_is_written_beside_the_output(spikeproof, shared, tmp_path):
    net, _, given = recorded(shared, "mlp_cuba")[1]
    words = (net, "--input", given, "--out", tmp_path / "out.npz", "--seed", 5, "--device", "cpu")
    assert spikeproof("simulate", *words, "--strict").code == 0
    stated = json.loads((tmp_path / "out.npz.config.json").read_text())
    options = stated["options"]
    assert (stated["command"], stated["output"], stated["seed"]) == ("simulate", "out.npz", 5)
    assert (options["network"], options["input"]) == (str(net), str(given))
    assert (options["strict"], options["trace"], options["backend"]) == (True, False, "twin")
    assert stated["versions"]["python"]


def test_inputs_that_do_not_fit_warn_in_one_line_and_strict_refuses_them(spikeproof, tmp_path):
    net = write(tmp_path / "a.net", layers()[:2])
    x = np.full((4, 5, 2, 6), 300.5)
    np.savez(tmp_path / "in.npz", x=x, steps=6, input_message_bits=9)
    words = (net, "--input", tmp_path / "in.npz", "--out", tmp_path / "out.npz")
    done = spikeproof("simulate", *words)
    assert (done.code, done.err.count("\n")) == (0, 1)
    assert "got fractions in x; x 300..300 outside -256..255 of 9 message bits" in done.err
    done = spikeproof("simulate", *words, "--strict")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert done.err.startswith("spikeproof: expected the input of")


def test_a_recurrent_net_gives_the_traces_of_the_slow_loop(spikeproof, tmp_path, rng):
    eager = [layer | neuron(vThMant=2) if "weight" in layer else layer for layer in layers()]
    net = write(tmp_path / "recurrent.net", eager)
    x = (rng.random((30, 1, 2, 5, 4)) < 0.4).astype(np.int64)
    np.savez(tmp_path / "in.npz", x=train_to_lava(x[:, 0]), steps=30, reset_interval=13)
    words = net, "--input", tmp_path / "in.npz", "--out", tmp_path / "out.npz"
    assert spikeproof("simulate", *words, "--trace").code == 0
    traces = reference(read_netx(net).program, {"input": x}, steps=30, batch=1, interval=13)
    found = arrays(tmp_path / "out.npz")
    for k, trace in enumerate(traces.values()):
        for key, value in vars(trace).items():
            np.testing.assert_array_equal(lava_to_train(found[f"{key}{k}"]), value[:, 0])
    assert found["s2"].any()


def test_telemetry_counts_the_spikes_that_are_written(spikeproof, shared, tmp_path):
    traces, words = recorded(shared, "mlp_cuba")
    out = ["--out", tmp_path / "out.npz", "--telemetry"]
    rows = spikeproof("simulate", *words, *out, "--json").json["telemetry"]
    spikes = [int(a.sum()) for key, a in sorted(traces.items()) if key[0] == "s"]
    assert [row["spikes"] for row in rows] == spikes
    peaks = [int(np.abs(a).max()) for key, a in sorted(traces.items()) if key[0] == "u"]
    assert [row["peak_u"] for row in rows] == peaks
    lines = spikeproof("simulate", *words, *out).out.splitlines()
    assert [line.split()[0] for line in lines[-len(rows) :]] == [r["population"] for r in rows]


def test_telemetry_is_refused_on_other_backends(spikeproof, shared, tmp_path):
    words = [*recorded(shared, "mlp_cuba")[1], "--out", tmp_path / "out.npz"]
    done = spikeproof("simulate", *words, "--telemetry", "--backend", "lava")
    assert done.code == 2
    assert "expected --telemetry with the twin only, got backend 'lava'; leave it out" in done.err


def test_without_trace_only_spikes_are_written(spikeproof, shared, tmp_path):
    traces, words = recorded(shared, "mlp_cuba")
    done = spikeproof("simulate", *words, "--out", tmp_path / "out.npz")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0] == f"wrote {tmp_path / 'out.npz'} (twin)"
    assert_equal(arrays(tmp_path / "out.npz"), {k: a for k, a in traces.items() if k[0] == "s"})


@pytest.fixture
def out_of_range(files, tmp_path):
    """A deployed network in which two layers hold numbers that Lava changes."""
    net = tmp_path / "changed.net"
    net.write_bytes((files / "bundle/model.net").read_bytes())
    add_to(net, "layer/1/neuron/iDecay", 904)
    add_to(net, "layer/4/bias", np.eye(11, dtype=np.int32)[0] * 70000)
    return [net, "--input", files / "bundle/golden.npz", "--out", tmp_path / "out.npz"]


def test_numbers_out_of_range_warn_in_one_line_a_layer(spikeproof, out_of_range):
    done = spikeproof("simulate", *out_of_range, "--json")
    assert done.code == 0
    first, second = done.err.splitlines()
    assert first.startswith("warning: expected layer1 of")
    assert "iDecay 5000 outside 0..4096" in first
    assert second.startswith("warning: expected layer4 of")
    assert re.search(r"biases up to 7000\d outside int16", second)
    assert done.json["kind"] == ".net"


def test_warnings_are_told_every_time(spikeproof, out_of_range):
    lines = [spikeproof("simulate", *out_of_range).err.count("\n") for _ in range(2)]
    assert lines == [2, 2]


def test_strict_refuses_numbers_out_of_range(spikeproof, out_of_range):
    done = spikeproof("simulate", *out_of_range, "--strict")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith("spikeproof: expected layer1 of")
    assert done.err.endswith("iDecay 5000 outside 0..4096; mend it, or do without strict\n")
    assert not Path(out_of_range[-1]).exists()


def test_strict_takes_what_fits(spikeproof, files, tmp_path):
    words = [files / "bundle/model.net", "--input", files / "bundle/golden.npz"]
    for name, options in (("plain", []), ("strict", ["--strict"])):
        done = spikeproof("simulate", *words, "--out", tmp_path / f"{name}.npz", *options)
        assert (done.code, done.err) == (0, "")
    assert_equal(arrays(tmp_path / "strict.npz"), arrays(tmp_path / "plain.npz"))


@pytest.fixture
def run_images(spikeproof, files, tmp_path):
    """Runs a network of `files` on images; what it wrote, without the layers' names."""

    def run(net, backend, *options):
        out = tmp_path / "out.npz"
        words = [files / net, "--input", files / "images.npz", "--out", out]
        done = spikeproof("simulate", *words, "--backend", backend, "--json", *options)
        assert (done.code, done.err) == (0, "")
        assert done.json["backend"] == backend
        return arrays(out)

    return run


@pytest.mark.parametrize(
    ("net", "backend", "layers"),
    [
        ("bundle", "twin", 4),
        ("bundle", "float", 3),
        ("model.nir", "twin", 4),
        ("model.nir", "float", 3),
        pytest.param("bundle", "lava", 4, marks=pytest.mark.lava),
    ],
)
def test_images_give_logits_predictions_and_spikes(run_images, net, backend, layers):
    found = run_images(net, backend)
    assert sorted(found) == sorted(
        ["layers", "logits", "predictions", *(f"s{k}" for k in range(layers))]
    )
    assert found["logits"].shape == (4, 4)
    assert found["predictions"].tolist() == found["logits"].argmax(1).tolist()
    assert (found["s1"].shape, found["s1"].dtype) == ((STEPS, 4, 6, 4, 5), np.uint8)
    assert found["layers"].tolist() == ["fire1", "fire2", "fire3", "last"][:layers]


def test_every_executor_agrees_where_quantising_loses_nothing(run_images):
    bundle, direct, real = (
        run_images(net, backend)
        for net, backend in (("bundle", "twin"), ("model.nir", "twin"), ("model.nir", "float"))
    )
    assert_equal(direct, bundle)
    for key in ("s0", "s1", "s2"):
        np.testing.assert_array_equal(real[key], bundle[key])
    np.testing.assert_allclose(real["logits"], bundle["logits"], atol=1e-6)


def test_metadata_that_a_file_lacks_can_be_given(run_images):
    words = ("--dt=0.25", "--steps=3", "--encoding=direct", "--readout=membrane", "--reset=zero")
    assert run_images("bare.nir", "float", *words)["s0"].shape[0] == 3


def test_json_is_all_that_stdout_holds(files, tmp_path):
    words = [sys.executable, "-m", "spikeproof", "simulate", str(files / "bundle"), "--json"]
    words += ["--input", str(files / "images.npz"), "--out", str(tmp_path / "out.npz")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["kind"] == "bundle"
    assert done.stderr == ""


@pytest.mark.lava
def test_interrupted_lava_leaves_nothing(files, tmp_path):
    """Ctrl-C reaches the foreground process group, in which Lava's own processes are not."""
    temporary = tmp_path / "temporary"
    np.savez(tmp_path / "long.npz", x=np.ones((5, 6, 2, 200_000), np.uint8), steps=200_000)
    words = ["simulate", files / "bundle/model.net", "--input", tmp_path / "long.npz"]
    out = ["--out", tmp_path / "out.npz"]
    with command(temporary, *words, *out, "--backend", "lava") as process:
        assert wait_until(lambda: are_running(temporary))
        token = token_in(temporary)
        assert processes_naming(temporary)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said.strip()) == (130, f"spikeproof: {INTERRUPTION}")
    assert wait_until(lambda: not processes_naming(temporary), 5)
    assert segments(token) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long.npz", "temporary"]
    assert list(temporary.iterdir()) == []
