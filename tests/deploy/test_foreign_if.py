"""Integrate-and-fire networks as Sinabs writes them: summed windows, T = 300, no metadata."""

import os
import subprocess
import sys
from pathlib import Path

import nir
import numpy as np
import pytest

import spikeproof
from spikeproof.core.files import read_json
from spikeproof.deploy.bundle import read_bundle
from spikeproof.deploy.deployment import Calibration, DeployConfig, frames_of, run
from spikeproof.deploy.executors import load_float, run_float, run_twin
from spikeproof.deploy.samples import named_samples
from spikeproof.deploy.scale import SearchConfig
from spikeproof.sim.graph.file import write_nir
from spikeproof.sim.graph.meta import InputFrames
from spikeproof.tests.deploy.networks import affine, chain, flatten

STEPS, SHAPE, CLASSES = 300, (2, 10, 10), 4
GIVEN = {
    "dt": 1.0,
    "steps": STEPS,
    "encoding": "frames",
    "readout": "spikes",
    "reset": "zero",
    "input_frames": InputFrames(binning="time", cap=15),
}


def fires(*shape) -> nir.IF:
    """r is 1 and the threshold 1, in float32 at the layer's full shape."""
    ones = np.ones(shape, np.float32)
    return nir.IF(r=ones, v_threshold=ones, v_reset=np.zeros_like(ones))


def conv(weight, size) -> nir.Conv2d:
    zeros = np.zeros(len(weight), np.float32)
    return nir.Conv2d(size, weight.astype(np.float32), (1, 1), (0, 0), (1, 1), 1, zeros)


def summed() -> nir.SumPool2d:
    return nir.SumPool2d(np.array((2, 2)), np.array((2, 2)), np.array((0, 0)))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Named by number; a channel of the second layer only ever sinks."""
    draw = np.random.default_rng(5)
    second = draw.normal(0.02, 0.1, (6, 4, 3, 3))
    second[5] = -6.0
    nodes = {
        "0": conv(draw.normal(0.05, 0.3, (4, 2, 3, 3)), SHAPE[1:]),
        "1": fires(4, 8, 8),
        "2": summed(),
        "3": conv(second, (4, 4)),
        "4": fires(6, 2, 2),
        "5": flatten((6, 2, 2)),
        "6": affine(draw.normal(0.1, 0.25, (CLASSES, 24)).astype(np.float32)),
        "7": fires(CLASSES),
    }
    graph = chain(nodes, shape=SHAPE)
    graph.metadata = {}
    path = tmp_path_factory.mktemp("sinabs") / "model.nir"
    write_nir(path, graph)
    return path


def recordings(count, seed=0):
    """Sparse events, more of them in one quarter: which one depends on the sample."""
    draw = np.random.default_rng(seed)
    rate = np.full((count, 1, *SHAPE), 0.02)
    for n in range(count):
        y, x = divmod(n % 4, 2)
        rate[n, 0, n // 4 % 2, 5 * y : 5 * y + 5, 5 * x : 5 * x + 5] = 0.2
    counts = np.minimum(draw.poisson(rate, (count, STEPS, *SHAPE)), 15).astype(np.uint8)
    return counts.reshape(count, STEPS * SHAPE[0], *SHAPE[1:])


@pytest.fixture(scope="module")
def bundle(model):
    shown = Calibration(images=recordings(8), labels=np.arange(8) % CLASSES, source="drawn")
    config = DeployConfig(golden=8, search=SearchConfig(samples=0))
    run(config, model, model.with_name("bundle"), given=GIVEN, calibration=shown)
    return read_bundle(model.with_name("bundle"))


def test_eight_bits_count_almost_the_spikes_of_the_file(bundle):
    shown = recordings(16, seed=1)
    network = load_float(bundle.nir, bundle.metadata)
    ours = run_float(network, named_samples(bundle.program, shown)).logits
    chip = run_twin(bundle.program, shown).logits
    assert ours.max() > 30
    assert np.abs(ours - chip).mean() <= 0.05 * ours.max()
    assert np.corrcoef(ours.ravel(), chip.ravel())[0, 1] > 0.95


def test_the_negative_rail_is_listed_with_the_count_seen(bundle):
    chip = read_json(bundle.path / "chip.json")
    seen = {row["name"]: row["negative_rail_seen"] for row in chip["populations"]}
    assert seen["4"] > 0
    (remark,) = (r for r in chip["remarks"] if r.startswith("4: v may be clipped"))
    assert f"seen {seen['4']} times on the golden samples" in remark


def test_what_was_said_is_kept_for_audits(bundle):
    frames = frames_of(bundle.nir, given=bundle.metadata)
    assert frames is not None
    assert (frames.steps, frames.binning, frames.cap) == (STEPS, "time", 15)
    assert bundle.program.peak == 15


@pytest.mark.slow
@pytest.mark.skipif("SPIKEPROOF_SINABS" not in os.environ, reason="it names Sinabs's folder")
def test_a_file_that_sinabs_wrote_counts_its_spikes(tmp_path):
    frames = np.random.default_rng(0).integers(0, 4, (2, 40, 2, 34, 34), dtype=np.uint8)
    parts = dict.fromkeys(("learn", "held", "test"), frames)
    np.savez(tmp_path / "frames.npz", labels=np.arange(2), **parts)
    child = Path(spikeproof.__file__).parent / "benchmarks" / "foreign_if_sinabs.py"
    words = (sys.executable, child, tmp_path / "frames.npz", tmp_path / "sinabs.nir", "0")
    path = {"PYTHONPATH": os.environ["SPIKEPROOF_SINABS"]}
    subprocess.run(words, env=os.environ | path, check=True)
    given = GIVEN | {"steps": 40}
    run(DeployConfig(golden=2), tmp_path / "sinabs.nir", tmp_path / "bundle", given=given)
    network = load_float(tmp_path / "sinabs.nir", given)
    ours = run_float(network, {"frames": frames.swapaxes(0, 1)}).logits
    assert ours.any()
    np.testing.assert_array_equal(ours, np.load(tmp_path / "sinabs.npz")["test"])
