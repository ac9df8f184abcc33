"""Payloads of up to 32 bits, far beyond the chip: twin against a live Lava run, every value."""

import numpy as np
import pytest

from spikeproof.sim.netx.input import NetxInput
from spikeproof.sim.netx.simulation import netx_request, simulate_twin
from spikeproof.sim.oracle.run import run_lava_many
from spikeproof.tests.sim.lava_programs import assert_equal_traces
from spikeproof.tests.sim.netx_files import layers, neuron, ramp, write

SMALL = np.array([[1, 0, -1, 1], [-2, 1, 1, 1], [0, 1, -1, 0]])


def convolution(path, **fields):
    return write(path, [layers()[0], layers()[1] | fields]), (4, 5, 2)


def dense(path, **fields):
    layer = {"type": "dense", "shape": [3]} | neuron() | fields
    return write(path, [{"type": "input", "shape": [4]}, layer]), (4,)


CASES = {
    "convolution": (convolution, {}),
    "convolution of one sign": (convolution, {"weight": ramp(4, 1, 3, 2, low=1)}),
    "dense": (dense, {"weight": SMALL}),
    "dense with delays": (dense, {"weight": SMALL, "delay": [0, 1, 3]}),
    "dense with zero delays": (dense, {"weight": SMALL, "delay": 0}),
    "dense of one sign with delays": (dense, {"weight": -np.eye(3, 4), "delay": 2}),
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """All of them, run in one worker."""
    folder, rng = tmp_path_factory.mktemp("nets"), np.random.default_rng(0)
    cases = {}
    for name, (make, fields) in CASES.items():
        network, shape = make(folder / f"{len(cases)}.net", **fields)
        x = rng.integers(-(2**31) + 1, 2**31, (*shape, 30)).astype(np.int32)
        x[rng.random(x.shape) < 0.3] = 1
        cases[name] = network, NetxInput(steps=30, x=x, input_message_bits=32)
    found = run_lava_many([netx_request(*case) for case in cases.values()], timeout=200.0)
    return {name: (*case, f) for (name, case), f in zip(cases.items(), found, strict=True)}


@pytest.mark.lava
@pytest.mark.filterwarnings("ignore:expected layer1 of")
@pytest.mark.parametrize("name", CASES)
def test_payloads_of_32_bits_are_equal_on_twin_and_lava(ran, name):
    network, given, found = ran[name]
    assert_equal_traces(simulate_twin(network, given, trace=True, strict=False), found)
    assert len(np.unique(found["u0"])) > 40
