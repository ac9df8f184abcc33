"""Many runs with one import of Lava: each alone, and the first failure told."""

import h5py
import numpy as np
import pytest

from spikeproof.core.errors import OracleError
from spikeproof.sim.oracle import worker as lava_worker
from spikeproof.sim.oracle.run import LavaRequest, run_lava_many
from spikeproof.tests.sim.lava_programs import assert_equal_traces, settings
from spikeproof.tests.sim.netx_files import neuron, ramp, write


def request_of(path, **changes):
    """Four inputs into three neurons that fire."""
    layers = [
        {"type": "input", "shape": [4]},
        {"type": "dense", "shape": [3], "weight": ramp(3, 4)} | neuron(vThMant=3, **changes),
    ]
    return LavaRequest(network=write(path, layers), steps=8, x=np.ones((4, 8), np.uint8))


@pytest.mark.lava
@pytest.mark.usefixtures("nothing_left")
def test_lava_starts_every_network_from_its_initial_state(tmp_path):
    net, setting = request_of(tmp_path / "a.net"), settings()["levelled_skip"]
    first, between, again = run_lava_many([net, setting.request(), net])
    assert_equal_traces(between, setting.expected())
    assert_equal_traces(again, first)
    assert first["s0"].any()


@pytest.mark.lava
@pytest.mark.usefixtures("nothing_left")
def test_lava_names_the_network_that_failed_and_stops_there(tmp_path):
    good, bad = request_of(tmp_path / "good.net"), request_of(tmp_path / "bad.net")
    with h5py.File(tmp_path / "bad.net", "a") as file:
        file["layer/1/neuron/messageBits"] = 8
    with pytest.raises(OracleError, match=r"expected Lava to run .*/bad.net, got exit 1") as raised:
        run_lava_many([good, bad, good])
    assert "TypeError: '>' not supported" in raised.value.__notes__[0]


def test_worker_reports_a_run_that_died(monkeypatch, tmp_path, capsys):
    def die(*arguments, **options):
        lava_worker.os.kill(lava_worker.os.getpid(), lava_worker.signal.SIGKILL)

    monkeypatch.setattr(lava_worker, "_run", die)
    monkeypatch.setattr(lava_worker, "end_session", lambda *arguments, **options: None)
    monkeypatch.setattr(lava_worker.os, "waitpid", lambda *arguments: (0, 0))
    monkeypatch.setattr(lava_worker, "_leave", lambda code: (_ for _ in ()).throw(SystemExit(code)))
    with pytest.raises(SystemExit, match="1"):
        lava_worker._run_apart(tmp_path, {}, token="t")
    assert capsys.readouterr().err == "the run died by SIGKILL\n"
