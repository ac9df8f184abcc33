"""Decays and thresholds of a `.net` file act in the type that they are stored in, as in Lava."""

import numpy as np
import pytest

from spikeproof.core.errors import FormatError, OracleError
from spikeproof.sim.netx.input import NetxInput
from spikeproof.sim.netx.network import read_netx
from spikeproof.sim.netx.simulation import netx_request, simulate_twin
from spikeproof.sim.oracle.run import run_lava, run_lava_many
from spikeproof.tests.sim.lava_programs import assert_equal_traces
from spikeproof.tests.sim.netx_files import neuron, ramp, write

X = np.random.default_rng(3).integers(-90, 91, (4, 20)).astype(np.int32)
GIVEN = NetxInput(steps=20, x=X, input_message_bits=8)
ATTRIBUTES = {"vThMant": "vth", "iDecay": "du", "vDecay": "dv"}


def net(path, **fields):
    """Four inputs into three neurons."""
    layer = {"type": "dense", "shape": [3], "weight": ramp(3, 4)} | neuron(**fields)
    return write(path, [{"type": "input", "shape": [4]}, layer])


def name_of(case):
    key, value, _ = case
    return f"{key} {value} as {value.dtype.str}"


def case(key, value, kind, acting):
    return key, np.array(value, kind), acting


ALTERED = [
    case("vThMant", 1000, "i2", -24),
    case("vThMant", 1000, ">i2", -24),
    case("vThMant", 2000, "u2", 62464 // 64),
    case("vThMant", 200, "u1", 0),
    case("vThMant", [3], "i1", -1),
    case("vThMant", (1 << 26) - 1, "i4", -1),
    case("vThMant", 1 << 26, "u4", 0),
    case("vDecay", 5000, "u2", 4096 - 64632),
    case("iDecay", 5000, "u2", 4096 - 64632),
    case("iDecay", [5000], "u4", 5000 - (1 << 32)),
    case("vDecay", -30000, "i2", -30000 + (1 << 16)),
]
KEPT = [
    *(case("vThMant", 3, kind, 3) for kind in ("u1", "i2", "u2", "i4", "u4", "i8", "u8")),
    *(case("vThMant", 1, kind, 1) for kind in ("i1", "?")),
    *(case("iDecay", 777, kind, 777) for kind in ("i2", "u2", ">u2", "i4", "u4", "i8")),
    *(case("iDecay", 0, kind, 0) for kind in ("i2", "u2", "u4", "?")),
    *(case("vDecay", 4096, kind, 4096) for kind in ("i2", "u2", "i4", "u4", "i8")),
    case("vDecay", 1, "?", 1),
    case("vDecay", 5000, "i2", 5000),
    case("vThMant", (1 << 26) - 1, "i8", 1 << 17),
    case("vThMant", -(1 << 26), "i8", -(1 << 17)),
]
DEADLY = [
    case("vThMant", 3, "f4", None),
    case("vThMant", [[3]], "i4", None),
    case("iDecay", 3, "f8", None),
    case("iDecay", 3, "u1", None),
    case("vDecay", 3, "i1", None),
    case("vDecay", 3, "u8", None),
]


@pytest.mark.parametrize("given", ALTERED, ids=name_of)
def test_numbers_that_their_type_alters_act_altered_and_are_told(tmp_path, given):
    key, value, acting = given
    read = read_netx(net(tmp_path / "a.net", **{key: value}))
    assert getattr(read.program.populations[0], ATTRIBUTES[key]) == acting
    (warning,) = read.warnings
    told = f"{key} {value.item()} as {value.dtype.newbyteorder('=')}, of which Lava makes {acting};"
    assert told in warning


@pytest.mark.parametrize("given", KEPT, ids=name_of)
def test_numbers_that_their_type_keeps_act_as_they_are(tmp_path, given):
    key, value, acting = given
    read = read_netx(net(tmp_path / "a.net", **{key: value}))
    assert getattr(read.program.populations[0], ATTRIBUTES[key]) == acting
    assert not any("of which Lava makes" in warning for warning in read.warnings)


@pytest.mark.parametrize("given", DEADLY, ids=name_of)
def test_types_on_which_lava_fails_are_refused_by_file_and_field(tmp_path, given):
    key, value, _ = given
    path = net(tmp_path / "a.net", **{key: value})
    with pytest.raises(FormatError, match=f"^expected {path}/layer/1/neuron/{key} .*, got .*; "):
        read_netx(path)


def stacked(cases):
    """A layer for every threshold, with a decay of each kind; biases keep all of them busy."""
    pools = {key: [value for k, value, _ in cases if k == key] for key in ATTRIBUTES}
    fields = [
        {key: pool[index % len(pool)] for key, pool in pools.items()}
        for index in range(max(map(len, pools.values())))
    ]
    dense = {"type": "dense", "shape": [3], "weight": ramp(3, 3, low=-4), "bias": [7, -2, 40]}
    return [{"type": "input", "shape": [3]}, *(dense | neuron(**each) for each in fields)]


@pytest.mark.lava
@pytest.mark.filterwarnings("ignore:expected layer")
def test_lava_computes_in_the_stored_type_as_the_twin_does(tmp_path):
    given = NetxInput(steps=10, x=X[:3, :10], input_message_bits=8)
    paths = [
        write(tmp_path / f"{len(cases)}.net", stacked(cases)) for cases in (ALTERED, KEPT[::-1])
    ]
    found = run_lava_many([netx_request(path, given) for path in paths], timeout=200.0)
    for path, lava in zip(paths, found, strict=True):
        assert_equal_traces(simulate_twin(path, given, trace=True, strict=False), lava)


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.parametrize("given", DEADLY, ids=name_of)
def test_lava_fails_on_the_types_that_are_refused(tmp_path, given):
    key, value, _ = given
    with pytest.raises(OracleError, match="got exit 1"):
        run_lava(netx_request(net(tmp_path / "a.net", **{key: value}), GIVEN), timeout=100.0)
