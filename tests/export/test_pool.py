# nir's annotations are narrower than what it takes, and nodes of a graph are known by name here.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportOptionalMemberAccess=false

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from spikeproof.core.errors import UnsupportedNodeError
from spikeproof.export.graph import Conv, Dense, Flatten, Graph, Neurons, Pool
from spikeproof.export.pool import merge_pools

AVERAGE = Pool(kernel=(2, 2), factor=0.25)


def apply(graph, x):
    """The graph, a chain of linear nodes, in torch."""
    for name in graph.order():
        x = step(graph.nodes[name], x)
    return x


def step(node, x):
    if isinstance(node, Pool):
        return F.avg_pool2d(x, node.kernel, divisor_override=1) * node.factor
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
def test_odd_map_is_refused(chain, rng, shape):
    with pytest.raises(UnsupportedNodeError, match="maps that pool 'pool' of .* tiles, got"):
        merge_pools(chain(shape, pool=AVERAGE, conv=draw_conv(rng)))


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
