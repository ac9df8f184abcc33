"""Integer ONNX files under onnxruntime: every bit as the twin's, which equals Lava's."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from spikeproof.core.axes import train_to_lava
from spikeproof.core.errors import FormatError, RangeError, UnsupportedNodeError
from spikeproof.datasets.images import load
from spikeproof.deploy.constant import carry_biases
from spikeproof.deploy.deployment import DeployConfig, to_integers
from spikeproof.export.integer_onnx import classifier_onnx, program_onnx
from spikeproof.export.onnx_scope import run_onnx
from spikeproof.export.to_nir import to_nir
from spikeproof.sim.classifier import TwinClassifier
from spikeproof.sim.clock import LavaClock
from spikeproof.sim.graph.file import write_nir
from spikeproof.sim.interface import Encoding
from spikeproof.sim.program import Population, Program, Source, Synapse
from spikeproof.tests.deploy.networks import lattice_graph, random_network
from spikeproof.tests.deploy.residual import residual_program
from spikeproof.tests.deploy.wide_biases import BITS, wide_biases
from spikeproof.tests.sim.fuzz_networks import fuzzed
from spikeproof.tests.sim.lava_programs import SETTINGS, assert_equal_traces, settings
from spikeproof.tests.sim.programs import classifier

HOW = ["integer", "float32"]


def traces(setting, how):
    """What a file of a program answers, as `run_lava` returns it."""
    clock = LavaClock(
        steps=setting.steps, reset_interval=setting.interval, reset_offset=setting.offset
    )
    model = program_onnx(setting.program, clock, how=how)
    sources = setting.program.sources
    given = {s.name: setting.inputs[s.name][:, None].astype(np.int32) for s in sources}
    found = run_onnx(model, given)
    return {name: train_to_lava(value[:, 0]) for name, value in found.items()}


def assert_bits_equal(program, images, how):
    expected = TwinClassifier(program)(torch.from_numpy(images).float() / 255).numpy()
    found = run_onnx(classifier_onnx(program, how=how), {"images": images})["logits"]
    assert (found.dtype, found.shape) == (np.float32, expected.shape)
    assert found.tobytes() == expected.tobytes()
    assert expected.std() > 0


def images_for(program, count=200):
    shape = (count, *program.sample_shape)
    return np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("kind", ["membrane", "sum", "spikes"])
def test_readout_equals_the_twins(kind, how):
    assert_bits_equal(classifier(kind), images_for(classifier(kind)), how)


@pytest.mark.parametrize("how", HOW)
def test_relays_and_residual_sums_equal_the_twins(how):
    program = residual_program()
    assert_bits_equal(program, images_for(program), how)


@pytest.mark.parametrize("how", HOW)
def test_a_constant_channel_equals_the_twins(how):
    program = carry_biases(wide_biases(padding=(1, 1), stride=(3, 3)), bits=BITS)
    assert_bits_equal(program, images_for(program), how)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("readout", ["membrane", "spikes"])
def test_strides_groups_and_biases_equal_the_twins(tmp_path, readout, how):
    write_nir(tmp_path / "model.nir", lattice_graph(readout=readout))
    program = to_integers(DeployConfig(), tmp_path / "model.nir").program
    assert_bits_equal(program, images_for(program), how)


@pytest.mark.parametrize("how", HOW)
def test_a_thousand_digits_equal_the_twins(tmp_path, how):
    digits = load("digits")
    images = np.concatenate([digits.train_images, digits.test_images])[:1000]
    write_nir(tmp_path / "model.nir", to_nir(random_network()))
    program = to_integers(DeployConfig(), tmp_path / "model.nir").program
    assert len(images) == 1000
    assert_bits_equal(program, images, how)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("seed", range(6))
def test_random_network_equals_the_twin(tmp_path, seed, how):
    setting = fuzzed(seed, tmp_path).setting
    assert_equal_traces(traces(setting, how), setting.twin())


@pytest.mark.slow
@pytest.mark.parametrize("how", HOW)
def test_three_hundred_random_networks_equal_the_twin(tmp_path, how):
    for seed in range(300):
        setting = fuzzed(seed, tmp_path).setting
        assert_equal_traces(traces(setting, how), setting.twin())


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_branches_delays_and_loops_equal_the_twin(name):
    setting = settings()[name]
    assert_equal_traces(traces(setting, "integer"), setting.twin())


def test_recorded_registers_are_those_of_the_twin():
    program = classifier("membrane")
    images = images_for(program, 3)
    found = run_onnx(classifier_onnx(program, record=True), {"images": images})
    run = TwinClassifier(program).run(torch.from_numpy(images).float() / 255, record=True)
    for k, population in enumerate(program.populations):
        registers = run.registers[population.name]
        np.testing.assert_array_equal(found[f"s{k}"], run.spikes[population.name].numpy())
        np.testing.assert_array_equal(found[f"u{k}"], registers.u.numpy())
        np.testing.assert_array_equal(found[f"v{k}"], registers.v.numpy())


def test_integer_file_multiplies_by_integer_operators_alone():
    model = onnx.load_from_string(classifier_onnx(residual_program()))
    used = {node.op_type for node in model.graph.node}
    assert used >= {"ConvInteger", "MatMulInteger", "Scan"}
    assert not used & {"Conv", "MatMul", "Gemm"}


def test_size_does_not_grow_with_the_steps():
    program = classifier()
    encoding = program.encoding
    assert encoding is not None
    longer = replace(program, encoding=replace(encoding, steps=600))
    assert abs(len(classifier_onnx(longer)) - len(classifier_onnx(program))) < 100


def test_file_says_what_it_matches_and_how_it_sums():
    model = onnx.load_from_string(classifier_onnx(classifier(), how="float32"))
    found = {p.key: p.value for p in model.metadata_props}
    assert found["matches"] == "Lava fixed-point model"
    assert found["steps"] == "6"
    assert "image -> a: float32" in found["sums"]


def test_bare_network_is_refused():
    with pytest.raises(FormatError, match="an encoding and a read-out, got a bare network"):
        classifier_onnx(classifier(encoding=None))


def test_unlevelled_path_is_refused_by_name():
    program = classifier()
    shifted = tuple(replace(p, phase=p.phase + (p.name == "out")) for p in program.populations)
    with pytest.raises(UnsupportedNodeError, match="levelled, got synapse b -> out"):
        classifier_onnx(replace(program, populations=shifted))


def delayed(**changes):
    """A payload through a delayed synapse with a shift."""
    fields = {"weight": np.full((1, 1), 2**20, np.int32), "shift": 1, "delay": 1} | changes
    return Program(
        sources=(Source(name="x", shape=(1,), low=-4096, high=4096, message_bits=14),),
        populations=(Population(name="a", shape=(1,), vth=1),),
        synapses=(Synapse(source="x", target="a", **fields),),
        outputs=("a",),
    )


def test_products_that_wrap_one_by_one_are_refused():
    with pytest.raises(RangeError, match="products below 2\\^31 in the delayed synapse x -> a"):
        program_onnx(delayed(), LavaClock(steps=3))


def test_too_many_inputs_are_refused():
    many = 140_000
    source = Source(name="x", shape=(many,))
    synapse = Synapse(source="x", target="a", weight=np.ones((1, many), np.int32))
    program = replace(delayed(), sources=(source,), synapses=(synapse,))
    with pytest.raises(RangeError, match="at most 133144 inputs a neuron in synapse x -> a"):
        program_onnx(program, LavaClock(steps=3))


def test_offsets_differ_by_channel():
    program = classifier("sum", encoding=Encoding(offset=(0, 255), steps=2))
    source = replace(program.sources[0], low=-255, high=255)
    assert_bits_equal(replace(program, sources=(source,)), images_for(program), "integer")
