# nir's annotations are narrower than what it takes, and nodes of a graph are known by name here.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportOptionalMemberAccess=false

import nir
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from spikeproof.core.errors import FormatError, UnsupportedNodeError
from spikeproof.sim.graph.linear import total_weight
from spikeproof.sim.graph.meta import NirMeta
from spikeproof.sim.graph.network import NirNetwork

META = NirMeta(dt=1.0, steps=3, encoding="frames", readout="membrane", reset="zero")


def network_of(node, shape, out=None):
    nodes = {"input": nir.Input(np.array(shape)), "node": node}
    nodes["output"] = nir.Output(np.array(out if out is not None else shape))
    edges = [("input", "node"), ("node", "output")]
    return NirNetwork(nir.NIRGraph(nodes, edges, type_check=False), META, dtype=torch.float64)


def output_of(node, x, out):
    network = network_of(node, x.shape[2:], out)
    return network.values({"input": x}, ["node"])["node"]


def weights(rng, *shape):
    return rng.normal(size=shape)


def train(rng, *shape):
    return torch.tensor(rng.normal(size=(3, 2, *shape)))


def over_steps(function, x):
    return torch.stack([function(frame) for frame in x])


CONVS = {
    "rectangular": {"kernel": (3, 5), "stride": (2, 1), "padding": (0, 2)},
    "dilated": {"kernel": (3, 2), "stride": (1, 2), "padding": (2, 1), "dilation": (2, 3)},
    "grouped": {"kernel": (3, 3), "padding": (1, 0), "groups": 2},
    "same": {"kernel": (4, 3), "padding": "same"},
    "valid": {"kernel": (2, 4), "stride": (3, 2), "padding": "valid"},
    "scalars": {"kernel": (3, 3), "stride": 2, "padding": 1, "dilation": 1},
}


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("case", CONVS.values(), ids=CONVS)
@pytest.mark.parametrize("has_bias", [True, False])
def test_conv2d_equals_torch(rng, case, has_bias):
    options = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1} | case
    kernel = options.pop("kernel")
    weight = weights(rng, 6, 4 // options["groups"], *kernel)
    bias = weights(rng, 6) if has_bias else None
    x = train(rng, 4, 9, 11)
    w, b = torch.tensor(weight), None if bias is None else torch.tensor(bias)
    expected = over_steps(lambda frame: F.conv2d(frame, w, b, **options), x)
    node = nir.Conv2d(input_shape=None, weight=weight, bias=bias, **options)
    found = output_of(node, x, expected.shape[2:])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("padding", [0, 3, "same", "valid"])
def test_conv1d_equals_torch(rng, padding):
    stride = 1 if padding == "same" else 2
    weight, bias, x = weights(rng, 6, 2, 3), weights(rng, 6), train(rng, 4, 13)
    options = {"stride": stride, "padding": padding, "dilation": 2, "groups": 2}
    w, b = torch.tensor(weight), torch.tensor(bias)
    expected = over_steps(lambda frame: F.conv1d(frame, w, b, **options), x)
    node = nir.Conv1d(input_shape=13, weight=weight, bias=bias, **options)
    found = output_of(node, x, expected.shape[2:])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_affine_equals_a_matrix_product(rng):
    weight, bias, x = weights(rng, 5, 7), weights(rng, 5), train(rng, 7)
    found = output_of(nir.Affine(weight=weight, bias=bias), x, (5,))
    np.testing.assert_allclose(found, x.numpy() @ weight.T + bias, rtol=0, atol=1e-12)


def test_linear_has_no_bias(rng):
    weight, x = weights(rng, 5, 7), train(rng, 7)
    found = output_of(nir.Linear(weight=weight), x, (5,))
    np.testing.assert_allclose(found, x.numpy() @ weight.T, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 4, 5), (1,)])
def test_scale_multiplies_elementwise(rng, shape):
    scale, x = weights(rng, *shape), train(rng, 3, 4, 5)
    np.testing.assert_array_equal(
        output_of(nir.Scale(scale=scale), x, (3, 4, 5)), x.numpy() * scale
    )


POOLS = {
    "tiles": ((2, 2), (2, 2), (0, 0)),
    "rectangular": ((3, 2), (2, 1), (1, 0)),
    "crops": ((2, 4), (3, 3), (1, 2)),
}


@pytest.mark.parametrize(("kernel", "stride", "padding"), POOLS.values(), ids=POOLS)
def test_avg_pool2d_equals_torch(rng, kernel, stride, padding):
    x = train(rng, 3, 7, 8)
    expected = over_steps(lambda frame: F.avg_pool2d(frame, kernel, stride, padding), x)
    node = nir.AvgPool2d(np.array(kernel), np.array(stride), np.array(padding))
    found = output_of(node, x, expected.shape[2:])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("kernel", "stride", "padding"), POOLS.values(), ids=POOLS)
def test_sum_pool2d_is_average_times_window(rng, kernel, stride, padding):
    x = train(rng, 3, 7, 8)
    average = over_steps(lambda frame: F.avg_pool2d(frame, kernel, stride, padding), x)
    node = nir.SumPool2d(np.array(kernel), np.array(stride), np.array(padding))
    found = output_of(node, x, average.shape[2:])
    torch.testing.assert_close(found, average * kernel[0] * kernel[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("start", "end", "out"),
    [(0, -1, (24,)), (1, -1, (2, 12)), (0, 1, (6, 4)), (-2, -1, (2, 12)), (1, 1, (2, 3, 4))],
)
def test_flatten_counts_axes_without_the_batch(rng, start, end, out):
    x = train(rng, 2, 3, 4)
    node = nir.Flatten(input_type=None, start_dim=start, end_dim=end)
    assert torch.equal(output_of(node, x, out), x.reshape(3, 2, *out))


def test_total_weight_sums_absolute_weights_per_output(rng):
    weight = weights(rng, 4, 2, 3, 5)
    node = nir.Conv2d(None, weight, 1, 0, 1, 1, np.zeros(4))
    np.testing.assert_allclose(total_weight(node), [np.abs(row).sum() for row in weight])


def conv(weight, **options):
    defaults = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": np.zeros(2)}
    return nir.Conv2d(input_shape=None, weight=weight, **(defaults | options))


REFUSED = {
    "flat input": (nir.Affine(np.ones((2, 3)), np.ones(2)), (3, 1), FormatError, r"shape \(3,\)"),
    "matrix stack": (nir.Linear(np.ones((4, 2, 3))), (4, 3), UnsupportedNodeError, "2 axes"),
    "bias": (nir.Affine(np.ones((2, 3)), np.ones(3)), (3,), FormatError, r"bias of shape \(2,\)"),
    "NaN": (nir.Linear(np.full((2, 3), np.nan)), (3,), FormatError, "6 NaN or infinite"),
    "no numbers": (nir.Linear(np.full((2, 3), "a")), (3,), FormatError, "numbers in 'weight'"),
    "channels": (conv(np.ones((2, 3, 3, 3))), (4, 8, 8), FormatError, r"shape \(3, 8, 8\)"),
    "vector": (conv(np.ones((2, 3, 3, 3))), (3,), FormatError, "channels of 2 axes"),
    "kernel": (conv(np.ones((2, 3, 9, 3))), (3, 8, 8), FormatError, "kernel that fits"),
    "weight axes": (conv(np.ones((2, 3, 3, 3, 1))), (3, 8, 8), FormatError, "4 axes"),
    "stride": (conv(np.ones((2, 3, 3, 3)), stride=0), (3, 8, 8), FormatError, "at least 1"),
    "fraction": (
        conv(np.ones((2, 3, 3, 3)), stride=np.array([1.5, 1])),
        (3, 8, 8),
        FormatError,
        "whole numbers in 'stride'",
    ),
    "negative padding": (conv(np.ones((2, 3, 3, 3)), padding=-1), (3, 8, 8), FormatError, ">= 0"),
    "groups": (conv(np.ones((2, 3, 3, 3)), groups=3), (9, 8, 8), FormatError, "divide"),
    "strided same": (
        conv(np.ones((2, 3, 3, 3)), padding="same", stride=2),
        (3, 8, 8),
        UnsupportedNodeError,
        "stride 1 with padding 'same'",
    ),
    "scale": (nir.Scale(np.ones(4)), (3,), FormatError, r"shape \(4,\)"),
    "pool of a vector": (
        nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        (8,),
        FormatError,
        "maps",
    ),
    "pool padding": (
        nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([2, 0])),
        (3, 8, 8),
        UnsupportedNodeError,
        "half a kernel",
    ),
    "flatten": (nir.Flatten(None, start_dim=2, end_dim=1), (3, 8, 8), FormatError, "start_dim"),
}


@pytest.mark.parametrize(("node", "shape", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_node_is_refused_by_name(node, shape, error, message):
    with pytest.raises(error, match=message) as caught:
        network_of(node, shape)
    assert "'node'" in str(caught.value)


def test_conv2d_refuses_another_map_than_it_was_written_for():
    node = nir.Conv2d((8, 9), np.ones((2, 3, 3, 3)), 1, 0, 1, 1, np.zeros(2))
    with pytest.raises(FormatError, match=r"expected an input of shape \(3, 8, 9\) at node 'node'"):
        network_of(node, (3, 9, 8))
