"""ONNX files are written after they were checked, or not at all."""

import numpy as np
import pytest
import torch

from spikeproof.core.errors import DataError, NotEqualError
from spikeproof.datasets.images import load
from spikeproof.export import integer_reading, onnx_compare
from spikeproof.export.onnx_scope import run_onnx
from spikeproof.export.to_nir import to_nir
from spikeproof.export.to_onnx import checked_onnx, require_equal, write_network_onnx
from spikeproof.tests.deploy.networks import random_network
from spikeproof.tests.sim.programs import classifier


@pytest.fixture(scope="module")
def digits():
    return torch.from_numpy(load("digits").test_images[:8])


def test_network_is_written_with_its_report(tmp_path, digits):
    out = tmp_path / "deep" / "model.onnx"
    report = write_network_onnx(to_nir(random_network()), out, samples=digits)
    assert report.samples == 8
    found = run_onnx(out, {"images": digits.numpy().astype(np.float32) / 255})["logits"]
    np.testing.assert_allclose(found, random_network()(digits / 255).detach(), atol=1e-4)


def test_network_that_differs_is_not_written(tmp_path, digits, monkeypatch):
    monkeypatch.setattr(onnx_compare, "LOGITS_CLOSE", -1.0)
    with pytest.raises(NotEqualError, match="expected logits under onnxruntime"):
        write_network_onnx(to_nir(random_network()), tmp_path / "model.onnx", samples=digits)
    assert list(tmp_path.iterdir()) == []


def test_integers_that_differ_are_refused_with_both_values(monkeypatch):
    kinds = dict(integer_reading.KINDS)
    kinds["sum"] = kinds["membrane"]
    monkeypatch.setattr(integer_reading, "KINDS", kinds)
    with pytest.raises(NotEqualError, match="in every bit, got .* for .* at sample 0, class 0"):
        checked_onnx(classifier("sum"), np.zeros((2, 2, 4, 4), np.uint8))


def test_images_of_another_shape_are_refused():
    model = checked_onnx(classifier("sum"), np.zeros((2, 2, 4, 4), np.uint8))
    with pytest.raises(DataError, match=r"images .* of shape \(2, 4, 4\), got \(2, 4, 5"):
        require_equal(classifier("sum"), model, np.zeros((2, 2, 4, 5), np.uint8))
