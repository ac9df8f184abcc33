"""Deployed networks whose input are frames of events."""

import numpy as np
import pytest
import torch

from spikeproof.core.axes import lava_to_train
from spikeproof.core.errors import ConfigError, UnsupportedNodeError
from spikeproof.core.files import read_json
from spikeproof.deploy.bundle import read_bundle
from spikeproof.deploy.deployment import DeployConfig, frames_of, run
from spikeproof.deploy.executors import run_on_lava, run_twin
from spikeproof.deploy.parity import check_parity, parity_images
from spikeproof.deploy.samples import named_samples
from spikeproof.deploy.verification import verify_bundle
from spikeproof.export.onnx_scope import run_onnx
from spikeproof.export.to_onnx import checked_onnx, require_equal
from spikeproof.sim.arrays import read_arrays
from spikeproof.sim.classifier import TwinClassifier
from spikeproof.sim.clock import LavaClock
from spikeproof.sim.graph.file import write_nir
from spikeproof.sim.graph.meta import InputFrames, InputLattice
from spikeproof.sim.netx.input import read_input
from spikeproof.sim.netx.simulation import simulate_twin
from spikeproof.tests.deploy.lavas_clock import assert_twin_equals, on_lavas_clock
from spikeproof.tests.deploy.networks import (
    SHAPE,
    STEPS,
    deploy_lattice,
    lattice_graph,
    linear,
    meta_of,
)

GRADED, BINARY = InputFrames(binning="time"), InputFrames(cap=1)


def frames_graph(cells, **changes):
    """A lattice graph that takes frames; of binary ones its first weights are larger."""
    graph = lattice_graph()
    meta = meta_of(encoding="frames", input_lattice=None, input_frames=cells)
    graph.metadata = dict(meta.to_metadata()) | changes
    if cells.cap == 1:
        graph.nodes["fire1"].v_threshold[:] /= 100  # type: ignore[union-attr]
        linear(graph, "conv1").bias[:] /= 100
    return graph


def stacks(count, cells=GRADED, seed=0):
    draw = np.random.default_rng(seed)
    counts = draw.poisson(0.8, (count, STEPS * SHAPE[0], *SHAPE[1:])) * 30
    return np.minimum(counts, cells.cap).astype(np.uint8)


@pytest.fixture(params=[GRADED, BINARY], ids=["graded", "binary"])
def cells(request):
    return request.param


@pytest.fixture
def bundle(tmp_path, cells):
    return read_bundle(deploy_lattice(tmp_path, graph=frames_graph(cells)))


def test_the_program_takes_frames_up_to_their_cap(bundle, cells):
    (source,), encoding = bundle.program.sources, bundle.program.encoding
    assert (source.low, source.high) == (0, cells.cap)
    assert source.is_graded == (cells.cap > 1)
    assert (encoding.kind, encoding.steps, encoding.offset) == ("frames", STEPS, (0, 0))
    assert bundle.program.sample_shape == (STEPS * 2, 6, 5)


def test_the_manifest_says_what_enters(bundle, cells):
    stated = read_json(bundle.path / "manifest.json")["metadata"]
    assert stated["encoding"] == "frames"
    assert f'"cap": {cells.cap}' in stated["input_frames"]


def test_twin_equals_a_slow_loop_on_lavas_clock(bundle, cells):
    images = torch.from_numpy(stacks(3, cells)) / 255
    program = bundle.program
    expected = on_lavas_clock(program, TwinClassifier(program).payload(images))
    assert all(expected["s", p.name].any() for p in program.populations[:-1])
    assert_twin_equals(expected, program, images)


def test_the_order_of_the_frames_matters(bundle, cells):
    images = stacks(8, cells)
    turned = images.reshape(8, STEPS, *SHAPE)[:, ::-1].reshape(images.shape)
    ours, theirs = (run_twin(bundle.program, x).logits for x in (images, turned.copy()))
    assert (ours != theirs).any()


def test_float_graph_and_twin_agree_where_quantising_loses_nothing(bundle):
    checks = {check.name: check for check in verify_bundle(bundle.path)}
    assert checks["twin"].detail == "3 golden samples, every spike and logit equal"
    assert checks["float"].detail == "3 of 3 golden samples in the same class"


def test_golden_frames_give_the_golden_spikes_on_the_net_file(bundle):
    path = bundle.path / "golden.npz"
    golden, given = read_arrays(path), read_input(path)
    assert golden["frames"].shape == (STEPS, 3, *SHAPE)
    traces = simulate_twin(bundle.network, given, trace=False, strict=True)
    clock = LavaClock(steps=given.steps, reset_interval=STEPS, reset_offset=1)
    first = lava_to_train(traces["s0"])
    samples = [first[clock.window(0, n)] for n in range(3)]
    np.testing.assert_array_equal(np.stack(samples, axis=1), golden["s0"])


@pytest.mark.parametrize("how", ["integer", "float32"])
def test_integer_onnx_equals_the_twin_in_every_bit(bundle, cells, how):
    program = bundle.program
    model = checked_onnx(program, stacks(6, cells), how=how)
    images = stacks(40, cells, seed=1)
    logits = run_onnx(model, {"frames": named_samples(program, images)["frames"]})["logits"]
    assert logits.tobytes() == run_twin(program, images).logits.tobytes()
    assert logits.std(axis=0).min() > 0
    assert require_equal(program, model, images) == logits.size


@pytest.mark.lava
def test_onnx_files_for_frames_are_verified_with_the_bundle(tmp_path):
    write_nir(tmp_path / "model.nir", frames_graph(GRADED))
    run(DeployConfig(golden=3, onnx="integer"), tmp_path / "model.nir", tmp_path / "bundle")
    checks = {check.name: check for check in verify_bundle(tmp_path / "bundle")}
    assert checks["onnx"].detail.startswith("3 golden samples")


def test_gradients_reach_every_frame(bundle, cells):
    images = (torch.from_numpy(stacks(2, cells)) / 255).requires_grad_()
    logits = TwinClassifier(bundle.program).using("triangle-3")(images)
    (grad,) = torch.autograd.grad(logits[:, 0].sum(), images)
    assert (grad.unflatten(1, (STEPS, 2)).flatten(2).abs().amax(-1) > 0).any(0).all()


def test_frames_are_found_by_what_the_file_says(tmp_path, cells):
    write_nir(tmp_path / "model.nir", frames_graph(cells))
    found = frames_of(tmp_path / "model.nir")
    assert found is not None
    assert (found.steps, found.size, found.cap) == (STEPS, SHAPE[1:], cells.cap)
    assert found.binning == cells.binning
    write_nir(tmp_path / "images.nir", lattice_graph())
    assert frames_of(tmp_path / "images.nir") is None


def test_frames_with_a_lattice_or_too_large_a_cap_are_refused(tmp_path):
    lattice = dict(meta_of(input_lattice=InputLattice()).to_metadata())["input_lattice"]
    large = meta_of(input_frames=InputFrames(cap=256)).to_metadata()["input_frames"]
    for change in ({"input_lattice": lattice}, {"input_frames": large}):
        write_nir(tmp_path / "model.nir", frames_graph(GRADED, **change))
        with pytest.raises(UnsupportedNodeError, match=r"or frames without one|most 255 a cell"):
            run(DeployConfig(), tmp_path / "model.nir", tmp_path / "bundle")


def test_calibration_on_recordings_needs_two_polarities(tmp_path):
    graph = frames_graph(GRADED)
    graph.nodes["input"].input_type["input"] = np.array((1, 6, 5))
    linear(graph, "conv1").weight = linear(graph, "conv1").weight[:, :1]
    write_nir(tmp_path / "model.nir", graph)
    with pytest.raises(ConfigError, match=r"expected a network for frames \[2, H, W\] of events"):
        frames_of(tmp_path / "model.nir")


@pytest.mark.lava
def test_lava_equals_the_twin_on_frames(bundle, cells):
    images = np.concatenate([parity_images(bundle, samples=4, seed=0), stacks(3, cells)])
    report = check_parity(bundle, images, timeout=200.0)
    assert (report.differences, report.first, report.samples) == (0, None, 7)
    assert report.spikes > 20
    ours, theirs = run_twin(bundle.program, images), run_on_lava(bundle, images)
    np.testing.assert_array_equal(ours.logits, theirs.logits)
