"""ONNX graphs: what a file says of itself, and what is said where the libraries are missing."""

import sys

import numpy as np
import onnx
import pytest

import spikeproof
from spikeproof.core.errors import MissingAbilityError, RangeError
from spikeproof.export import onnx_scope
from spikeproof.export.onnx_scope import OPSET, Scope, require_onnx, run_onnx

SHAPE = (np.float32, ["N", 2])


def doubled(**options):
    scope = Scope()
    scope.rename(scope.add("Mul", "x", scope.constant(np.array(2, np.float32))), "y")
    fields = {"name": "n", "doc": "d", "inputs": {"x": SHAPE}, "outputs": {"y": SHAPE}}
    return scope.model(**fields, metadata={"b": "2", "a": "1"}, **options)


def test_file_names_its_producer_and_opset():
    model = onnx.load_from_string(doubled())
    onnx.checker.check_model(model, full_check=True)
    assert (model.producer_name, model.producer_version) == ("spikeproof", spikeproof.__version__)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]
    assert {p.key: p.value for p in model.metadata_props} == {"a": "1", "b": "2"}


def test_equal_calls_give_equal_bytes():
    assert doubled() == doubled()


def test_constant_is_stored_once():
    scope = Scope()
    assert scope.integers(1, 2) == scope.integers(1, 2) != scope.integers(1, 3)


def test_scan_adds_up_its_input():
    scope = Scope()
    start = scope.constant(np.zeros(2, np.float32))

    def body(inner, before, now):
        total = inner.add("Add", before[0], now[0])
        return [total], [total]

    (end,), (sums,) = scope.scan([start], ["x"], body)
    scope.rename(end, "end")
    scope.rename(sums, "sums")
    outputs = {"end": (np.float32, [2]), "sums": SHAPE}
    model = scope.model(name="n", doc="", inputs={"x": SHAPE}, outputs=outputs, metadata={})
    found = run_onnx(model, {"x": np.array([[1, 2], [3, 4], [5, 6]], np.float32)})
    assert found["end"].tolist() == [9, 12]
    assert found["sums"].tolist() == [[1, 2], [4, 6], [9, 12]]


@pytest.mark.parametrize("name", ["onnx", "onnxruntime"])
def test_missing_library_is_named(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingAbilityError, match=rf"expected {name} to .*spikeproof\[onnx\]"):
        require_onnx()


def test_file_beyond_the_format_is_refused(monkeypatch):
    monkeypatch.setattr(onnx_scope, "LARGEST", 100)
    with pytest.raises(RangeError, match="expected a network of at most 100 bytes, got"):
        doubled()
