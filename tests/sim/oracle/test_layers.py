"""Odd but lawful ways of writing a layer mean on the twin what they mean on Lava."""

import numpy as np
import pytest

from spikeproof.core.errors import OracleError
from spikeproof.sim.netx.input import NetxInput
from spikeproof.sim.netx.simulation import netx_request, simulate_twin
from spikeproof.sim.oracle.run import run_lava, run_lava_many
from spikeproof.tests.sim.lava_programs import assert_equal_traces
from spikeproof.tests.sim.netx.test_damage import TALL
from spikeproof.tests.sim.netx_files import layers, neuron, ramp, write

ENTRY, CONV, FLATTEN, DENSE, RECURRENT = layers()
MAP = np.random.default_rng(5).integers(0, 2, (4, 5, 2, 12)).astype(np.int32)
VECTOR = np.random.default_rng(6).integers(0, 2, (24, 12)).astype(np.int32)
NARROW = CONV | {"dilation": np.array([2, 1], "i1"), "padding": np.array([1, 0], "u1")}
SPREAD = {"vThMant": [[20], [90]], "iDecay": [4096, 0, 7, 900], "vDecay": ramp(3, 2, 4, low=0)}
ODD = {
    "flatten before a convolution": (MAP, [ENTRY, FLATTEN, CONV, DENSE, RECURRENT]),
    "weights with two trailing axes": (MAP, [ENTRY, CONV | {"weight": ramp(4, 1, 3, 2, 1, 1)}]),
    "options in 8 bits": (MAP, [ENTRY | {"shape": np.array([2, 5, 4], "u1")}, NARROW]),
    "an input without shape": (VECTOR, [{"type": "input"}, DENSE]),
    "an input of two axes": (VECTOR, [{"type": "input", "shape": [6, 4]}, DENSE]),
    "no input at all": (VECTOR, [DENSE]),
    "numbers by row, channel and neuron": (MAP, [ENTRY, CONV | neuron(**SPREAD)]),
    "ignored fields": (MAP, [ENTRY, CONV | {"delay": 3} | neuron(refDelay=5, wgtExp=7)]),
    "half a recurrence": (VECTOR, [DENSE, RECURRENT | {"weight_rec": ramp(3, 3) * 0}]),
}


@pytest.mark.lava
@pytest.mark.filterwarnings("ignore:expected layer")
def test_odd_layers_mean_what_they_mean_on_lava(tmp_path):
    paths = {name: write(tmp_path / f"{k}.net", ODD[name][1]) for k, name in enumerate(ODD)}
    given = {name: NetxInput(steps=12, x=x) for name, (x, _) in ODD.items()}
    requests = [netx_request(path, given[name]) for name, path in paths.items()]
    for name, lava in zip(paths, run_lava_many(requests, timeout=250.0), strict=True):
        assert_equal_traces(simulate_twin(paths[name], given[name], trace=True, strict=False), lava)


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.parametrize("narrow", [("shape", "padding"), ("dilation",)])
def test_lava_fails_where_8_bits_do_not_hold_its_reckoning(tmp_path, narrow):
    stated = {k: v if k in narrow else v.astype(np.int32) for k, v in TALL.items()}
    conv = CONV | {"shape": [4, 140, 3], "stride": [1, 1]}
    conv |= {key: stated[key] for key in ("padding", "dilation")}
    path = write(tmp_path / "a.net", [ENTRY | {"shape": stated["shape"]}, conv])
    given = NetxInput(steps=2, x=np.zeros((4, 200, 2, 2), np.int32))
    with pytest.raises(OracleError, match="got exit 1"):
        run_lava(netx_request(path, given), timeout=100.0)
