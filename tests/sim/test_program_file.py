"""Programs on disk: nothing is lost, equal programs are equal bytes, damage is refused."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest

from spikeproof.core.errors import FormatError, RangeError, SpikeproofError
from spikeproof.sim.interface import Encoding
from spikeproof.sim.program_file import read_program, write_program
from spikeproof.tests.sim.netx_files import layers
from spikeproof.tests.sim.netx_files import write as write_net
from spikeproof.tests.sim.programs import assert_equal_programs, chain, classifier


@pytest.fixture
def path(tmp_path):
    """A written classifier."""
    write_program(tmp_path / "program.h5", classifier())
    return tmp_path / "program.h5"


@pytest.mark.parametrize(
    "program",
    [
        chain(),
        classifier("sum"),
        classifier("spikes"),
        classifier(encoding=Encoding(offset=(120,), steps=6, constant=200)),
    ],
)
def test_programs_come_back_whole(tmp_path, program):
    write_program(tmp_path / "program.h5", program)
    assert_equal_programs(read_program(tmp_path / "program.h5"), program)


def test_axes_come_back_as_tuples_and_weights_as_int32(path):
    program = read_program(path)
    assert isinstance(program.sources[0].shape, tuple)
    assert isinstance(program.synapses[0].stride, tuple)
    assert program.synapses[0].weight.dtype == np.int32
    assert np.asarray(program.populations[0].bias).dtype == np.int32


def test_equal_programs_give_equal_bytes(path, tmp_path):
    write_program(tmp_path / "again.h5", read_program(path))
    assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()


def test_other_numbers_give_other_bytes(path, tmp_path):
    first, *others = classifier().populations
    changed = classifier(populations=(replace(first, vth=901), *others))
    write_program(tmp_path / "other.h5", changed)
    assert (tmp_path / "other.h5").read_bytes() != path.read_bytes()


@pytest.mark.parametrize("key", ["du", "dv", "vth"])
def test_numbers_by_neuron_come_back(tmp_path, key):
    first, *others = classifier().populations
    stated = np.array([-(2**31), 7, 2**31 - 1]).reshape(3, 1, 1)
    program = classifier(populations=(replace(first, **{key: stated}), *others))
    write_program(tmp_path / "program.h5", program)
    read = read_program(tmp_path / "program.h5").populations[0]
    np.testing.assert_array_equal(getattr(read, key), stated)


@pytest.mark.parametrize("number", [2**31, -(2**31) - 1])
def test_numbers_beyond_32_bits_are_refused_and_nothing_is_written(tmp_path, number):
    first, *others = classifier().populations
    stated = replace(first, du=np.array([number, 0, 0]).reshape(3, 1, 1))
    with pytest.raises(RangeError, match=r"decays of u of population 'a' of .* 32 bits, got .*; "):
        write_program(tmp_path / "p.h5", classifier(populations=(stated, *others)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", np.linspace(0.0, 0.99, 12))
def test_truncated_files_are_refused(path, share):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(FormatError, match="expected an HDF5 file at .*cut short; pass a complete"):
        read_program(path)


def test_missing_files_are_refused(tmp_path):
    with pytest.raises(FormatError, match=r"expected an HDF5 file at .*, got no file"):
        read_program(tmp_path / "program.h5")


def test_networks_of_another_format_are_refused(tmp_path):
    write_net(tmp_path / "network.net", layers())
    with pytest.raises(FormatError, match=r"to be a 'spikeproof program 1' file, got another kind"):
        read_program(tmp_path / "network.net")


def with_head(path, edit):
    """Changes the description inside a written file."""
    with h5py.File(path, "a") as file:
        head = json.loads(np.asarray(file["head"])[0])
        edited = edit(head)
        del file["head"]
        text = edited if isinstance(edited, str) else json.dumps(head if edited is None else edited)
        file["head"] = np.array([text.encode("ascii")])


def setting(kind, key, value):
    def edit(head):
        (head[kind][0] if isinstance(head[kind], list) else head[kind])[key] = value

    return edit


HEADS = {
    "no JSON": lambda head: "{",
    "a list": lambda head: [],
    "a number": lambda head: 7,
    "no sources": lambda head: head.pop("sources") and None,
    "sources of numbers": lambda head: head.update(sources=[7]),
    "sources of text": lambda head: head.update(sources="ab"),
    "an unknown field": setting("sources", "colour", "red"),
    "a missing field": lambda head: head["synapses"][0].pop("stride") and None,
    "a threshold of text": setting("populations", "vth", "high"),
    "a fractional decay": setting("populations", "du", 0.5),
    "a phase of none": setting("populations", "phase", None),
    "a shape of text": setting("sources", "shape", "ab"),
    "a negative shape": setting("sources", "shape", [-2, 4, 4]),
    "a shape of fractions": setting("sources", "shape", [2.5, 4, 4]),
    "a stride of zero": setting("synapses", "stride", [0, 1]),
    "groups of zero": setting("synapses", "groups", 0),
    "padding of text": setting("synapses", "padding", ["a", "b"]),
    "an unknown read-out": setting("readout", "kind", "argmax"),
    "a read-out of nothing": setting("readout", "population", "nothing"),
    "a scale of text": setting("readout", "scale", "large"),
    "no steps": setting("encoding", "steps", 0),
    "too few offsets": setting("encoding", "offset", [1]),
    "an unknown source": setting("synapses", "source", "nothing"),
    "an unknown output": lambda head: head.update(outputs=["nothing"]),
    "a synapse without weight": lambda head: head["synapses"].append(head["synapses"][0]),
    "a delay without numbers": setting("synapses", "delay", None),
    "a negative delay": setting("synapses", "delay", -1),
    "a name of numbers": setting("sources", "name", 7),
    "notes of numbers": lambda head: head.update(notes=[1, 2]),
}


@pytest.mark.parametrize("name", HEADS)
def test_foreign_descriptions_are_refused_in_one_line(path, name):
    with_head(path, HEADS[name])
    with pytest.raises(SpikeproofError, match=r"^expected .+, got .*; .+") as refused:
        read_program(path)
    assert "\n" not in str(refused.value)


ARRAYS = {
    "weights of fractions": ("weight/0", np.full((3, 2, 2, 2), 0.5)),
    "weights of another rank": ("weight/1", np.ones((4, 12, 1), np.int32)),
    "weights of text": ("weight/1", "seven"),
    "weights that are not finite": ("weight/0", np.full((3, 2, 2, 2), np.nan)),
    "weights of 64 bits": ("weight/0", np.full((3, 2, 2, 2), 2**40)),
    "biases of another shape": ("bias/0", np.ones(7, np.int32)),
    "biases of fractions": ("bias/0", np.full((3, 1, 1), 0.5)),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_foreign_arrays_are_refused_in_one_line(path, name):
    place, value = ARRAYS[name]
    with h5py.File(path, "a") as file:
        del file[place]
        file[place] = value
    with pytest.raises(SpikeproofError, match=r"^expected .+, got .*; .+") as refused:
        read_program(path)
    assert "\n" not in str(refused.value)
