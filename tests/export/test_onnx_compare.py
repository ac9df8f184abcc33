"""Torch beside onnxruntime: architectures layer by layer, and files that compute wrongly."""

import nir
import numpy as np
import pytest
import torch

from spikeproof.core.errors import NotEqualError
from spikeproof.datasets.images import load
from spikeproof.export import float_onnx, onnx_compare, onnx_neurons
from spikeproof.export.compare import TIE_FLOAT32
from spikeproof.export.onnx_compare import LOGITS_CLOSE, compare_onnx
from spikeproof.export.to_nir import to_nir
from spikeproof.sim.graph.meta import InputLattice
from spikeproof.tests.deploy.networks import SHAPE, affine, chain, flatten, meta_of, random_network


def assert_equal(report, samples):
    assert report.samples == samples
    assert report.unflipped > 0.5
    assert report.logit_difference <= LOGITS_CLOSE
    assert all(0 < layer.rate < 1 and layer.margin <= TIE_FLOAT32 for layer in report.layers)


@pytest.mark.parametrize("batch", [1, 32])
def test_digits_network_equals_torch_on_real_images(batch):
    images = torch.from_numpy(load("digits").test_images[: 5 * batch])
    assert_equal(compare_onnx(to_nir(random_network()), images, batch=batch), 5 * batch)


@pytest.mark.parametrize(
    "changes",
    [
        {"neuron": "lif", "decay": 0.5},
        {"readout": "spikes"},
        {"architecture": "vgg5", "widths": (4, 6, 8), "hidden": (20, 12)},
        {"architecture": "wrn10-1", "widths": (4, 6, 8, 10), "hidden": ()},
    ],
)
def test_architecture_equals_torch_layer_by_layer(make_network, images, changes):
    network = make_network(**changes)
    assert_equal(compare_onnx(to_nir(network), images), len(images))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_frames_count_events_in_any_number_format(make_network, dtype):
    network = make_network(encoding="frames", mean=(0, 0), std=(0.4, 0.3))
    shape = (network.config.steps, 20, *network.config.input_shape)
    draws = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 4, shape, generator=draws).to(dtype)
    assert_equal(compare_onnx(to_nir(network), frames), 20)


def test_foreign_neurons_equal_torch_layer_by_layer():
    """LIF with a leak, reset by subtraction, behind a current, and an integrator that is read."""
    rng, ones = np.random.default_rng(0), np.ones(9)
    cuba = nir.CubaLIF(
        tau_syn=0.4 * ones, tau_mem=0.6 * ones, r=2 * ones, v_leak=3 * ones, v_threshold=99 * ones
    )
    nodes = {
        "flat": flatten((1, 8, 8)),
        "dense": affine(rng.normal(size=(9, 64)), rng.normal(size=9)),
        "fire": cuba,
        "last": nir.Linear(rng.normal(size=(4, 9))),
        "read": nir.LI(tau=np.full(4, 0.7), r=np.ones(4), v_leak=np.full(4, 0.2)),
    }
    meta = meta_of(reset="subtract", readout="last", input_lattice=InputLattice())
    graph = chain(nodes, shape=(1, 8, 8), out=(4,), meta=meta)
    assert_equal(compare_onnx(graph, torch.from_numpy(load("digits").test_images[:40])), 40)


def test_neurons_behind_pools_and_scales_equal_torch_layer_by_layer():
    rng, meta = np.random.default_rng(2), meta_of(input_lattice=None)
    nodes = {
        "scale": nir.Scale(rng.uniform(0.5, 2, SHAPE)),
        "fire": nir.IF(np.full(SHAPE, 1 / meta.dt), np.full(SHAPE, 1.3)),
        "pool": nir.AvgPool2d(np.array([2, 3]), np.array([2, 1]), np.array([0, 1])),
        "fire2": nir.LIF(*(np.full((2, 3, 5), v) for v in (2 * meta.dt, 4.0, 0.0, 0.8))),
        "flat": flatten((2, 3, 5)),
        "last": affine(rng.normal(size=(4, 30)), rng.normal(size=4)),
    }
    images = torch.from_numpy(rng.random((6, *SHAPE)))
    assert_equal(compare_onnx(chain(nodes, meta=meta), images), 6)


def test_wrong_neurons_are_refused_with_layer_and_margin(monkeypatch):
    right = onnx_neurons._fire
    monkeypatch.setattr(onnx_neurons, "_fire", lambda s, h, theta: right(s, h, theta * 1.5))
    with pytest.raises(NotEqualError, match="expected layer 'spike1' under onnxruntime to differ"):
        compare_onnx(to_nir(random_network()), torch.from_numpy(load("digits").test_images[:8]))


def test_wrong_logits_are_refused(monkeypatch):
    right = float_onnx._read_out

    def scaled(scope, meta, train):
        factor = scope.constant(np.array([1.001], np.float32))
        return scope.add("Mul", right(scope, meta, train), factor)

    monkeypatch.setattr(float_onnx, "_read_out", scaled)
    with pytest.raises(NotEqualError, match="expected logits under onnxruntime within 1e-05"):
        compare_onnx(to_nir(random_network()), torch.from_numpy(load("digits").test_images[:8]))


def test_nothing_is_compared_where_every_sample_has_a_flip():
    none = torch.zeros(0, 3)
    assert onnx_compare._require_close(none, none) == 0.0
