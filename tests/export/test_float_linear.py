"""Each of NIR's maps without memory as ONNX nodes, against the float executor."""

from typing import Any

import nir
import numpy as np
import pytest
import torch

from spikeproof.export.float_linear import LINEAR, Place
from spikeproof.export.onnx_scope import Scope, run_onnx
from spikeproof.sim.graph.layers import Site
from spikeproof.sim.graph.linear import LINEAR as IN_TORCH

MAP = (4, 6, 8)


def drawn(*shape):
    return np.random.default_rng(1).normal(size=shape)


def pair(*numbers):
    return np.array(numbers)


def conv2d(weight, bias=None, **options):
    base: dict[str, Any] = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    fields = base | options
    bias = drawn(len(weight)) if bias is None else bias
    return nir.Conv2d(input_shape=None, weight=weight, bias=bias, **fields)


def conv1d(weight, **options):
    fields: dict[str, Any] = {"stride": 2, "padding": 1, "dilation": 2, "groups": 2} | options
    return nir.Conv1d(input_shape=None, weight=weight, bias=drawn(len(weight)), **fields)


def pooled(weight, window, **options):
    """What `merge_pools` makes of a pool before a convolution."""
    return conv2d(weight.repeat(window[0], 2).repeat(window[1], 3) / 3.0, **options)


NODES = {
    "affine": (nir.Affine(weight=drawn(3, 5), bias=drawn(3)), (5,)),
    "linear": (nir.Linear(weight=drawn(3, 5)), (5,)),
    "scale": (nir.Scale(scale=drawn(*MAP)), MAP),
    "conv": (
        conv2d(drawn(6, 2, 3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 3), groups=2),
        MAP,
    ),
    "as a file stores it": (conv2d(drawn(2, 4, 3, 3), stride=pair(2, 2), padding=pair(1, 1)), MAP),
    "same": (conv2d(drawn(2, 4, 2, 3), padding="same"), MAP),
    "valid": (conv2d(drawn(2, 4, 2, 3), padding="valid"), MAP),
    "conv1d": (conv1d(drawn(6, 2, 3)), (4, 9)),
    "sum pool": (nir.SumPool2d(pair(2, 3), pair(1, 2), pair(1, 0)), MAP),
    "average pool": (nir.AvgPool2d(pair(3, 2), pair(2, 2), pair(1, 1)), MAP),
    "flatten": (nir.Flatten({"input": np.array(MAP)}, start_dim=1, end_dim=-1), MAP),
    "pool and conv": (pooled(drawn(5, 4, 3, 1), (2, 2), stride=(2, 2), padding=(2, 0)), MAP),
    "wide pool": (pooled(drawn(5, 4, 1, 2), (3, 4), stride=(3, 4)), MAP),
    "no pool": (pooled(drawn(5, 4, 2, 2), (2, 2), stride=(1, 1), padding=(2, 2)), MAP),
}


def written(name):
    """The map as an ONNX file, and what torch makes of a train in it."""
    node, shape = NODES[name]
    site = Site(
        name=name,
        kind=type(node).__name__,
        fields=vars(node),
        shape=shape,
        dt=1.0,
        dtype=torch.float32,
        device=torch.device("cpu"),
    )
    layer, scope = IN_TORCH[type(node)](site), Scope()
    place = Place(fields=vars(node), before=shape, after=layer.shape)
    scope.rename(LINEAR[type(node)](scope, place, "x"), "y")
    model = scope.model(
        name="one",
        doc="",
        inputs={"x": (np.float32, ["B", *shape])},
        outputs={"y": (np.float32, ["B", *layer.shape])},
        metadata={},
    )
    return model, layer, shape


@pytest.mark.parametrize("name", sorted(NODES))
def test_map_equals_torchs(name):
    model, layer, shape = written(name)
    x = drawn(3, *shape).astype(np.float32)
    expected = layer.apply(torch.from_numpy(x)[None])[0].numpy()
    np.testing.assert_allclose(run_onnx(model, {"x": x})["y"], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "pools"), [("pool and conv", True), ("wide pool", True), ("no pool", False)]
)
def test_merged_pool_is_taken_out_where_it_tiles(name, pools):
    assert (b"AveragePool" in written(name)[0]) == pools


@pytest.mark.parametrize("window", [(2, 2), (3, 1), (1, 4), (1, 1)])
def test_pool_merged_into_a_matrix_is_taken_out(window):
    maps = drawn(5, 4, 6 // window[0], 8 // window[1])
    weight = maps.repeat(window[0], 2).repeat(window[1], 3).reshape(5, -1)
    node, scope = nir.Affine(weight=weight, bias=drawn(5)), Scope()
    place = Place(fields=vars(node), before=(192,), after=(5,), flattened=MAP)
    scope.rename(LINEAR[nir.Affine](scope, place, "x"), "y")
    model = scope.model(
        name="one",
        doc="",
        inputs={"x": (np.float32, ["B", 192])},
        outputs={"y": (np.float32, ["B", 5])},
        metadata={},
    )
    x = drawn(3, 192).astype(np.float32)
    expected = x @ weight.T + node.bias
    np.testing.assert_allclose(run_onnx(model, {"x": x})["y"], expected, rtol=1e-5, atol=1e-4)
    assert (b"AveragePool" in model) == (window != (1, 1))
