import numpy as np
import pytest

from spikeproof.core.errors import DataError, FormatError
from spikeproof.deploy import executors
from spikeproof.deploy.bundle import read_bundle
from spikeproof.deploy.deployment import DeployConfig, run
from spikeproof.deploy.executors import (
    load_float,
    run_float,
    run_on_lava,
    run_twin,
)
from spikeproof.sim.arrays import read_arrays
from spikeproof.sim.graph.file import write_nir
from spikeproof.tests.deploy.networks import (
    SHAPE,
    STEPS,
    affine,
    chain,
    deploy_lattice,
    flatten,
    lattice_graph,
    lattice_images,
    leaky,
    linear,
    meta_of,
)
from spikeproof.tests.trackers import Recorder


@pytest.fixture
def bundle(sealed):
    return read_bundle(sealed)


def assert_equal(found, expected):
    assert list(found.spikes) == list(expected.spikes)
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(found.spikes[name], spikes, err_msg=name)
    np.testing.assert_array_equal(found.logits, expected.logits)
    np.testing.assert_array_equal(found.predictions, expected.predictions)


def test_twin_reproduces_the_golden_vectors(bundle):
    golden = read_arrays(bundle.path / "golden.npz")
    found = run_twin(bundle.program, golden["images"].transpose(0, 3, 1, 2)).arrays()
    for key in ("logits", "predictions", "s0", "s1", "s2", "s3"):
        np.testing.assert_array_equal(found[key], golden[key], err_msg=key)
    assert found["layers"].tolist() == ["fire1", "fire2", "fire3", "last"]


def test_float_equals_the_twin_where_quantising_loses_nothing(bundle):
    images = lattice_images(5)
    ours = run_twin(bundle.program, images)
    theirs = run_float(load_float(bundle.nir, {}), {"images": images})
    assert list(theirs.spikes) == ["fire1", "fire2", "fire3"]
    for name, spikes in theirs.spikes.items():
        np.testing.assert_array_equal(ours.spikes[name], spikes)
    np.testing.assert_allclose(ours.logits, theirs.logits, atol=1e-6)


def test_spikes_have_time_and_batch_first(bundle):
    spikes = run_twin(bundle.program, lattice_images(5)).spikes
    assert spikes["fire2"].shape == (STEPS, 5, 6, 4, 5)
    assert spikes["fire2"].dtype == np.uint8


def test_float_runs_frames(tmp_path, rng):
    nodes = {"dense": affine(rng.normal(size=(3, 7))), "fire": leaky((3,), 0.5)}
    nodes["last"] = affine(rng.normal(size=(4, 3)))
    meta = meta_of(encoding="frames", input_lattice=None)
    write_nir(tmp_path / "net.nir", chain(nodes, shape=(7,), meta=meta))
    frames = rng.integers(0, 2, (STEPS, 2, 7)).astype(np.float32)
    found = run_float(load_float(tmp_path / "net.nir", {}), {"frames": frames})
    assert found.logits.shape == (2, 4)
    assert found.spikes["fire"].shape == (STEPS, 2, 3)
    assert found.spikes["fire"].any()


def test_float_takes_metadata_that_the_file_lacks(tmp_path, rng):
    graph = chain({"flat": flatten(SHAPE)} | dense(rng))
    graph.metadata = {}
    write_nir(tmp_path / "net.nir", graph)
    given = {"dt": 0.25, "steps": 3, "encoding": "direct", "readout": "membrane", "reset": "zero"}
    found = run_float(load_float(tmp_path / "net.nir", given), {"images": lattice_images(2)})
    assert found.spikes["fire"].shape == (3, 2, 3)
    with pytest.raises(FormatError, match="got no dt, steps, encoding, readout, reset; give --dt"):
        load_float(tmp_path / "net.nir", {})


def dense(rng):
    return {
        "dense": affine(rng.normal(size=(3, 60))),
        "fire": leaky((3,), 0.5),
        "last": affine(rng.normal(size=(4, 3))),
    }


def test_images_of_another_shape_are_refused(bundle):
    images = np.zeros((1, 2, 5, 6), np.uint8)
    with pytest.raises(DataError, match=r"\(C, H, W\) = \(2, 6, 5\), got \(2, 5, 6\)"):
        run_twin(bundle.program, images)
    with pytest.raises(DataError, match=r"\(C, H, W\) = \(2, 6, 5\), got \(2, 5, 6\)"):
        run_on_lava(bundle, images)


def test_batches_change_nothing_but_the_progress(bundle, monkeypatch):
    images, network = lattice_images(5), load_float(bundle.nir, {})
    runs = {
        "twin": lambda tracker: run_twin(bundle.program, images, tracker=tracker),
        "float": lambda tracker: run_float(network, {"images": images}, tracker=tracker),
    }
    for label, executed in runs.items():
        monkeypatch.setattr(executors, "BATCH", 64)
        whole = executed(Recorder())
        monkeypatch.setattr(executors, "BATCH", 2)
        tracker = Recorder()
        assert_equal(executed(tracker), whole)
        assert tracker.counts == [(label, 5, 5)]


@pytest.mark.lava
@pytest.mark.parametrize("readout", ["membrane", "spikes"])
def test_lava_does_what_the_twin_does(tmp_path, readout):
    bundle = read_bundle(deploy_lattice(tmp_path, readout=readout))
    images = lattice_images(4, seed=2)
    assert_equal(run_on_lava(bundle, images, timeout=200.0), run_twin(bundle.program, images))


@pytest.mark.lava
def test_lava_sums_a_readout_at_every_step_as_the_twin_does(tmp_path):
    bundle = read_bundle(summing_bundle(tmp_path))
    assert bundle.program.readout is not None
    assert bundle.program.readout.kind == "sum"
    images = lattice_images(3)
    assert_equal(run_on_lava(bundle, images, timeout=200.0), run_twin(bundle.program, images))


def summing_bundle(folder):
    """A read-out whose bias would be clipped if its membrane kept it."""
    graph = lattice_graph()
    linear(graph, "last").bias = np.array([1900.0, -1900.0, 0.0, 0.1])
    write_nir(folder / "model.nir", graph)
    run(DeployConfig(golden=1), folder / "model.nir", folder / "bundle")
    return folder / "bundle"
