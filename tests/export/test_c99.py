"""Deployed networks as C99: they compile without a warning, and answer as the twin."""

import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch

from spikeproof.core.errors import FormatError, NotEqualError, RangeError, UnsupportedNodeError
from spikeproof.deploy.constant import carry_biases
from spikeproof.deploy.deployment import DeployConfig, to_integers
from spikeproof.export.c99.build import (
    ANSWERS,
    SAMPLES,
    answers,
    build,
    c99_files,
    compiler,
    expected_answers,
    readings,
    require_equal,
)
from spikeproof.export.c99.generate import c99, sizes
from spikeproof.export.to_onnx import checked_onnx
from spikeproof.sim.classifier import LEVELS, TwinClassifier
from spikeproof.sim.graph.file import write_nir
from spikeproof.sim.interface import Encoding
from spikeproof.tests.deploy.networks import lattice_graph
from spikeproof.tests.deploy.residual import residual_program
from spikeproof.tests.deploy.wide_biases import BITS, wide_biases
from spikeproof.tests.sim.programs import classifier

SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
needs_compiler = pytest.mark.skipif(compiler() is None, reason="NO C COMPILER: C99 is not tested")


def written(program, folder):
    for name, text in c99(program).items():
        (folder / name).write_text(text)
    return folder


def samples_for(program, count=60, peak=255):
    shape = (count, *program.sample_shape)
    return np.random.default_rng(5).integers(0, peak + 1, shape, dtype=np.uint8)


def assert_equals_the_twin(program, folder, *, options=("-O2",), peak=255):
    samples = samples_for(program, peak=peak)
    expected = expected_answers(program, samples)
    assert len(set(expected.splitlines())) > 1
    assert answers(build(written(program, folder), folder, options=options), samples) == expected


def frames_program(message_bits):
    """The classifier's layers behind a stack of frames: one map a step, at most 3 events a cell."""
    program = classifier("sum")
    program = with_population(program, "a", vth=12)
    source = replace(program.sources[0], low=0, high=3, message_bits=message_bits)
    encoding = Encoding(offset=(0, 0), steps=6, kind="frames")
    return replace(program, sources=(source,), encoding=encoding)


def with_population(program, name, **changes):
    rows = [replace(p, **changes) if p.name == name else p for p in program.populations]
    return replace(program, populations=tuple(rows))


@needs_compiler
@pytest.mark.parametrize("kind", ["membrane", "sum", "spikes"])
def test_readout_equals_the_twins(kind, tmp_path):
    assert_equals_the_twin(classifier(kind), tmp_path)


@needs_compiler
def test_residual_sums_equal_the_twins_under_sanitizers(tmp_path):
    assert_equals_the_twin(residual_program(), tmp_path, options=SANITIZED)


@needs_compiler
@pytest.mark.parametrize("readout", ["membrane", "spikes"])
def test_strides_groups_and_biases_equal_the_twins_under_sanitizers(readout, tmp_path):
    write_nir(tmp_path / "model.nir", lattice_graph(readout=readout))
    program = to_integers(DeployConfig(), tmp_path / "model.nir").program
    assert_equals_the_twin(program, tmp_path, options=SANITIZED)


@needs_compiler
@pytest.mark.parametrize("message_bits", [0, 9])
def test_frames_equal_the_twins(message_bits, tmp_path):
    assert_equals_the_twin(frames_program(message_bits), tmp_path, peak=3)


@needs_compiler
def test_a_constant_channel_equals_the_twins_under_sanitizers(tmp_path):
    program = carry_biases(wide_biases(), bits=BITS)
    assert_equals_the_twin(program, tmp_path, options=SANITIZED)


@needs_compiler
def test_a_constant_channel_behind_frames_equals_the_twins(tmp_path):
    wide = {"bias": np.array([27, -24, 4], np.int32).reshape(3, 1, 1)}
    program = carry_biases(with_population(frames_program(9), "a", **wide), bits=5)
    assert program.encoding is not None
    assert program.encoding.constant == 3
    assert_equals_the_twin(program, tmp_path, options=SANITIZED, peak=3)
    checked_onnx(program, samples_for(program, peak=3), how="integer")


@needs_compiler
def test_currents_that_last_and_numbers_of_each_neuron_equal_the_twins(tmp_path):
    draw = np.random.default_rng(0)
    program = with_population(
        classifier("sum"),
        "a",
        du=draw.integers(0, 4097, (3, 2, 2)),
        dv=draw.integers(0, 4097, (3, 1, 1)),
        vth=draw.integers(200, 2000, (2, 2)),
    )
    assert_equals_the_twin(program, tmp_path, options=SANITIZED)


def test_logits_are_the_readings_times_their_scale():
    program = classifier("membrane")
    samples = samples_for(program)
    chip = TwinClassifier(program)
    logits = chip(torch.from_numpy(samples).to(torch.float32) / LEVELS).numpy()
    found = (readings(program, samples) / 64).astype(np.float32) * np.float32(chip.readout.scale)
    np.testing.assert_array_equal(found, logits)


@needs_compiler
@pytest.mark.skipif(shutil.which("size") is None, reason="NO `size`: memory is not measured")
def test_stated_memory_is_what_the_compiler_reserves(tmp_path):
    program = residual_program()
    written(program, tmp_path)
    command = compiler()
    assert command is not None
    words = [command, "-std=c99", "-c", str(tmp_path / "network.c"), "-o", str(tmp_path / "n.o")]
    subprocess.run(words, check=True)
    said = subprocess.run(["size", tmp_path / "n.o"], capture_output=True, text=True, check=True)
    _, data, bss = (int(word) for word in said.stdout.splitlines()[1].split()[:3])
    arrays = 3 * len(program.populations) + 2
    padding = 32 * arrays  # the compiler aligns each array
    assert sizes(program)["ram_bytes"] <= data + bss <= sizes(program)["ram_bytes"] + padding + 4096


@needs_compiler
def test_files_answer_as_they_say_and_other_answers_are_named(tmp_path):
    program = residual_program()
    samples = samples_for(program, 3)
    for name, content in c99_files(program, samples).items():
        (tmp_path / name).write_bytes(content)
    assert (tmp_path / SAMPLES).read_bytes() == samples.tobytes()
    assert require_equal(tmp_path, program, samples) == 3
    assert answers(build(tmp_path, tmp_path), samples) == (tmp_path / ANSWERS).read_text()
    other = with_population(program, program.populations[0].name, vth=1)
    with pytest.raises(NotEqualError, match=r"expected sample \d to give .* in C"):
        require_equal(tmp_path, other, samples)


@needs_compiler
def test_a_sample_cut_short_is_refused(tmp_path):
    program = classifier("sum")
    built = build(written(program, tmp_path), tmp_path)
    with pytest.raises(NotEqualError, match="expected samples of 32 bytes, got 31 at the end"):
        answers(built, np.zeros((1, 31), np.uint8).reshape(1, 31, 1, 1))


def test_networks_that_are_not_deployed_are_refused():
    program = classifier("sum")
    with pytest.raises(FormatError, match="expected a program with one input, an encoding"):
        c99(replace(program, encoding=None))
    late = [replace(s, delay=1) for s in program.synapses]
    with pytest.raises(UnsupportedNodeError, match="expected levelled paths without loops"):
        c99(replace(program, synapses=tuple(late)))


def test_sums_beyond_the_registers_are_refused():
    program = classifier("sum")
    first = replace(program.synapses[0], weight=program.synapses[0].weight * 1_000_000)
    with pytest.raises(RangeError, match=r"sums over synapse image -> a below 2\^23"):
        c99(replace(program, synapses=(first, *program.synapses[1:])))
