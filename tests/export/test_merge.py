# nir's annotations are narrower than what it takes, and nodes of a graph are known by name here.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportOptionalMemberAccess=false

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from spikeproof.core.errors import UnsupportedNodeError
from spikeproof.export.graph import Conv, Dense, Flatten, Graph, Neurons, Pool
from spikeproof.export.layers import read_layers
from spikeproof.export.merge import merge_linears, merge_pools

AVERAGE = Pool(kernel=(2, 2), factor=0.25)


def apply(graph, x):
    """The graph, a chain of linear nodes, in torch."""
    for name in graph.order():
        x = step(graph.nodes[name], x)
    return x


def step(node, x):
    if isinstance(node, Pool):
        windows = {"stride": node.step, "padding": node.padding, "ceil_mode": node.ceil}
        return F.avg_pool2d(x, node.kernel, divisor_override=1, **windows) * node.factor
    if isinstance(node, Flatten):
        return x.flatten(1)
    w, b = torch.tensor(node.weight), torch.tensor(node.bias)
    if isinstance(node, Dense):
        return F.linear(x, w, b)
    return F.conv2d(x, w, b, node.stride, node.padding, node.dilation, node.groups)


def draw_conv(rng, inputs=4, kernel=(3, 3), groups=1, **options):
    weight = rng.normal(size=(6, inputs // groups, *kernel))
    return Conv(weight=weight, bias=rng.normal(size=6), groups=groups, **options)


def assert_merges(graph, rng, shape):
    merged = merge_pools(graph)
    assert not merged.names(Pool)
    x = torch.tensor(rng.normal(size=(2, *shape)))
    torch.testing.assert_close(apply(merged, x), apply(graph, x), rtol=0, atol=1e-12)
    return merged


CONVS = {
    "usual": {"padding": (1, 1)},
    "strided": {"stride": (2, 1), "padding": (0, 2), "kernel": (3, 2)},
    "dilated": {"dilation": (2, 3), "padding": (2, 1), "kernel": (2, 2)},
    "grouped": {"groups": 2, "padding": (1, 0)},
}


@pytest.mark.parametrize("options", CONVS.values(), ids=CONVS)
@pytest.mark.parametrize("kernel", [(2, 2), (2, 3), (3, 1)])
@pytest.mark.parametrize("factor", [1.0, 0.3])
def test_pool_then_conv_is_one_conv(chain, rng, options, kernel, factor):
    pool = Pool(kernel=kernel, factor=factor)
    assert_merges(chain((4, 12, 18), pool=pool, conv=draw_conv(rng, **options)), rng, (4, 12, 18))


def test_pool_2_then_conv_3_is_conv_6_stride_2_padding_2(chain, rng):
    merged = merge_pools(chain((4, 8, 8), pool=AVERAGE, conv=draw_conv(rng, padding=(1, 1))))
    conv = merged.nodes["conv"]
    assert conv.weight.shape == (6, 4, 6, 6)
    assert (conv.stride, conv.padding) == ((2, 2), (2, 2))


def test_pool_then_flatten_then_dense_is_one_dense(chain, rng):
    dense = Dense(weight=rng.normal(size=(5, 4 * 3 * 2)), bias=rng.normal(size=5))
    graph = chain((4, 6, 6), pool=Pool(kernel=(2, 3), factor=0.5), flat=Flatten(), dense=dense)
    assert assert_merges(graph, rng, (4, 6, 6)).nodes["dense"].weight.shape == (5, 144)


def test_pool_after_pool_merges(chain, rng):
    nodes = {"pool": Pool(kernel=(3, 2), factor=0.5), "again": AVERAGE}
    graph = chain((4, 12, 12), **nodes, conv=draw_conv(rng, padding=(1, 1)))
    assert assert_merges(graph, rng, (4, 12, 12)).nodes["conv"].weight.shape == (6, 4, 18, 12)


def test_pool_merges_into_every_layer_it_feeds(rng):
    a, b = draw_conv(rng), draw_conv(rng)
    edges = (("input", "p"), ("p", "a"), ("p", "b"), ("a", "output"), ("b", "output"))
    graph = Graph(nodes={"p": AVERAGE, "a": a, "b": b}, edges=edges, input_shape=(4, 8, 8))
    merged = merge_pools(graph)
    x = torch.tensor(rng.normal(size=(2, 4, 8, 8)))
    for name in "ab":
        expected = step(graph.nodes[name], step(AVERAGE, x))
        torch.testing.assert_close(step(merged.nodes[name], x), expected, rtol=0, atol=1e-12)
        assert merged.before(name) == ["input"]


@pytest.mark.parametrize("shape", [(4, 7, 8), (4, 8, 9)])
def test_odd_map_before_padding_is_refused(chain, rng, shape):
    with pytest.raises(UnsupportedNodeError, match="no padding at node 'conv' behind another"):
        merge_pools(chain(shape, pool=AVERAGE, conv=draw_conv(rng, padding=(1, 1))))


ODD = {
    "odd map": ({"kernel": (2, 2)}, (4, 7, 9)),
    "overlap": ({"kernel": (3, 2), "stride": (2, 1)}, (4, 9, 8)),
    "gaps": ({"kernel": (2, 2), "stride": (3, 4)}, (4, 9, 11)),
    "padding": ({"kernel": (3, 4), "padding": (1, 2)}, (4, 8, 9)),
    "ceil without effect": ({"kernel": (2, 3), "ceil": True}, (4, 8, 9)),
}


@pytest.mark.parametrize(("options", "shape"), ODD.values(), ids=ODD)
def test_any_pool_merges_into_what_does_not_pad(chain, rng, options, shape):
    pool = Pool(factor=0.3, **options)
    assert_merges(chain(shape, pool=pool, conv=draw_conv(rng, kernel=(2, 1))), rng, shape)
    pooled = pool.shape(shape)
    dense = Dense(weight=rng.normal(size=(5, int(np.prod(pooled)))), bias=rng.normal(size=5))
    assert_merges(chain(shape, pool=pool, flat=Flatten(), dense=dense), rng, shape)


def test_window_that_hangs_over_is_refused(chain, rng):
    pool = Pool(kernel=(2, 2), factor=0.25, ceil=True)
    with pytest.raises(UnsupportedNodeError, match="pool 'pool' of .* covers without ceil_mode"):
        merge_pools(chain((4, 7, 8), pool=pool, conv=draw_conv(rng)))


@pytest.mark.parametrize("ceil", [True, False])
@pytest.mark.parametrize("size", [(7, 8), (5, 11), (6, 6)])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (2, 3, 1), (4, 3, 2)]
)
def test_pool_counts_windows_as_torch(make_network, size, kernel, stride, padding, ceil):
    layer = torch.nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil)
    pool = read_layers(make_network([("pool", layer)])).nodes["pool"]
    assert pool.shape((3, *size)) == tuple(layer(torch.zeros(1, 3, *size)).shape[1:])


def test_pool_of_a_vector_is_refused(chain):
    dense = Dense(weight=np.ones((2, 4)), bias=np.ones(2))
    with pytest.raises((UnsupportedNodeError, ValueError), match="maps before pool 'pool'|zip"):
        merge_pools(chain((4,), pool=AVERAGE, dense=dense))


def test_pool_before_neurons_is_refused(chain):
    graph = chain((4, 8, 8), pool=AVERAGE, fire=Neurons(theta=1.0, decay=1.0))
    with pytest.raises(UnsupportedNodeError, match="pool 'pool' to feed .*, got 'fire' \\(Neurons"):
        merge_pools(graph)


def test_pool_at_the_end_is_refused(chain):
    with pytest.raises(UnsupportedNodeError, match="got 'output' \\(the output\\)"):
        merge_pools(chain((4, 8, 8), pool=AVERAGE))


def test_pool_into_a_sum_is_refused(rng):
    conv = draw_conv(rng)
    edges = (("input", "p"), ("input", "s"), ("p", "c"), ("s", "c"), ("c", "output"))
    side = Conv(weight=rng.normal(size=(4, 4, 2, 2)), bias=np.zeros(4), stride=(2, 2))
    graph = Graph(nodes={"p": AVERAGE, "s": side, "c": conv}, edges=edges, input_shape=(4, 8, 8))
    with pytest.raises(UnsupportedNodeError, match="expected 'p' alone before 'c'"):
        merge_pools(graph)


LINEARS = {
    "dense dense": ((4,), {"a": (7, 4), "b": (5, 7)}),
    "conv dense": ((4, 6, 5), {"conv": {"stride": (2, 1)}, "flat": None, "b": (5, 6 * 2 * 3)}),
    "conv conv": (
        (4, 8, 9),
        {"conv": {"kernel": (3, 2)}, "again": {"kernel": (2, 2), "groups": 2}},
    ),
    "conv dense dense": ((4, 3, 3), {"conv": {}, "flat": None, "a": (7, 6), "b": (5, 7)}),
}


@pytest.mark.parametrize(("shape", "parts"), LINEARS.values(), ids=LINEARS)
def test_linear_nodes_in_a_row_are_one(chain, rng, shape, parts):
    nodes, channels = {}, shape[0]
    for name, part in parts.items():
        if part is None:
            nodes[name] = Flatten()
        elif isinstance(part, tuple):
            nodes[name] = Dense(weight=rng.normal(size=part), bias=rng.normal(size=part[0]))
        else:
            nodes[name], channels = draw_conv(rng, inputs=channels, **part), 6
    graph = chain(shape, **nodes)
    merged, x = merge_linears(graph), torch.tensor(rng.normal(size=(2, *shape)))
    assert len([n for n in merged.nodes.values() if isinstance(n, Conv | Dense)]) == 1
    torch.testing.assert_close(apply(merged, x), apply(graph, x), rtol=0, atol=1e-11)


def test_linear_nodes_stay_two_where_a_bias_is_padded(chain, rng):
    graph = chain((4, 6, 6), a=draw_conv(rng), b=draw_conv(rng, inputs=6, padding=(1, 1)))
    assert merge_linears(graph) is graph


def test_linear_node_that_something_else_reads_stays(rng):
    dense = Dense(weight=rng.normal(size=(3, 3)), bias=rng.normal(size=3))
    edges = (("input", "a"), ("a", "b"), ("a", "output"), ("b", "output"))
    graph = Graph(nodes={"a": dense, "b": dense}, edges=edges, input_shape=(3,))
    assert merge_linears(graph) is graph
