"""Programs as `.net` files: what is read back acts as written, or nothing is written."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

from spikeproof.core.errors import NotEqualError, UnsupportedNodeError
from spikeproof.sim.netx.network import read_netx
from spikeproof.sim.netx.write import write_netx
from spikeproof.sim.program import Population, Synapse
from spikeproof.tests.reference import reference
from spikeproof.tests.sim.programs import chain, classifier, ramp


def read_back(path, program):
    write_netx(path, program)
    (source,) = program.sources
    read = read_netx(path, message_bits=source.message_bits, payload=(source.low, source.high))
    assert read.warnings == ()
    return read.program


def with_layer(index, *, synapse=None, population=None):
    """The chain with fields of one layer changed."""
    program = chain()
    synapses, populations = list(program.synapses), list(program.populations)
    synapses[index] = replace(synapses[index], **(synapse or {}))
    populations[index] = replace(populations[index], **(population or {}))
    return replace(program, synapses=tuple(synapses), populations=tuple(populations))


VARIANTS = {
    "every option": chain(),
    "a bias by neuron": with_layer(0, population={"bias": ramp(4, 2, 3)}),
    "extreme biases": with_layer(1, population={"bias": ramp(5) * 6553}),
    "no bias": with_layer(0, population={"bias": None}),
    "weights of all sizes": with_layer(1, synapse={"weight": ramp(5, 24) * 37 % 511 - 256}),
    "weights of a convolution": with_layer(0, synapse={"weight": ramp(4, 1, 3, 2) * 100}),
    "positive weights": with_layer(2, synapse={"weight": ramp(3, 5, low=245)}),
    "the longest delay": with_layer(2, synapse={"delay": 62}),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_what_is_read_back_computes_the_same(tmp_path, rng, name):
    program = VARIANTS[name]
    read = read_back(tmp_path / "network.net", program)
    x = rng.integers(-9, 10, (80, 2, 2, 5, 4))
    ours = reference(program, {"image": x}, steps=80, batch=2, interval=9)
    theirs = reference(read, {"input": x}, steps=80, batch=2, interval=9)
    for one, other in zip(ours.values(), theirs.values(), strict=True):
        np.testing.assert_array_equal(one.v, other.v)
        np.testing.assert_array_equal(one.s, other.s)


def test_populations_come_back_with_their_numbers(tmp_path):
    read = read_back(tmp_path / "network.net", chain())
    for ours, theirs in zip(chain().populations, read.populations, strict=True):
        for key in ("shape", "du", "dv", "vth", "phase"):
            assert getattr(ours, key) == getattr(theirs, key)


def test_the_layout_is_that_of_netx(tmp_path):
    write_netx(tmp_path / "network.net", chain())
    with h5py.File(tmp_path / "network.net") as file:
        found = {name: np.asarray(file[name]) for name in LAYOUT}
    kinds = [found[f"layer/{i}/type"][0] for i in range(5)]
    assert kinds == [b"input", b"conv", b"flatten", b"dense", b"dense"]
    assert found["layer/0/shape"].tolist() == [2, 5, 4]
    assert found["layer/1/stride"].tolist() == [2, 1]
    assert found["layer/1/groups"].shape == ()
    assert found["layer/1/neuron/type"].tolist() == [b"CUBA"]


LAYOUT = (
    *(f"layer/{i}/type" for i in range(5)),
    "layer/0/shape",
    "layer/1/stride",
    "layer/1/groups",
    "layer/1/neuron/type",
)


def test_equal_programs_give_equal_bytes(tmp_path):
    paths = [tmp_path / "one.net", tmp_path / "two.net"]
    for path in paths:
        write_netx(path, chain())
    assert paths[0].read_bytes() == paths[1].read_bytes()


def recurrent():
    program = chain()
    loop = Synapse(source="c", target="c", weight=ramp(3, 3))
    return replace(program, synapses=(*program.synapses, loop))


def skipping():
    return with_layer(2, synapse={"source": "a", "weight": ramp(3, 24)})


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (classifier(), r"got population 'out' fed by \['b', 'relay'\]; netx has no branches"),
        (recurrent(), r"got population 'c' fed by \['b', 'c'\]"),
        (skipping(), r"got population 'c' fed by \['a'\]"),
        (
            chain(populations=(*chain().populations, Population(name="d", shape=(2,), vth=1))),
            r"got population 'd' fed by \[\]",
        ),
    ],
)
def test_programs_that_are_no_chain_are_refused(tmp_path, program, message):
    with pytest.raises(UnsupportedNodeError, match=message):
        write_netx(tmp_path / "network.net", program)


REFUSED = {
    "weights of one sign up to 256": with_layer(2, synapse={"weight": ramp(3, 5, low=246)}),
    "weights of one sign, of which Lava rounds -128": with_layer(
        2, synapse={"weight": ramp(3, 5, low=-128)}
    ),
    "weights -300..3 outside -256..254": with_layer(
        1, synapse={"weight": np.where(ramp(5, 24) == 5, 3, ramp(5, 24) - 295).astype(np.int32)}
    ),
    "delays up to 63 outside 0..62": with_layer(2, synapse={"delay": 63}),
    "vThMant 131072 outside": with_layer(0, population={"vth": 131072}),
    "a delay, which Lava ignores in a convolution": with_layer(0, synapse={"delay": 1}),
    "population 'b' to read back from": with_layer(1, population={"phase": 5}),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_lava_would_change_is_refused_and_nothing_is_written(tmp_path, text):
    path = tmp_path / "network.net"
    with pytest.raises(NotEqualError, match=text) as refused:
        write_netx(path, REFUSED[text])
    assert str(path) in str(refused.value)
    assert list(tmp_path.iterdir()) == []
