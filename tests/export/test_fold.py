# nir's annotations are narrower than what it takes, and nodes of a graph are known by name here.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportOptionalMemberAccess=false

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spikeproof.core.errors import UnsupportedNodeError
from spikeproof.export.fold import fold_norms
from spikeproof.export.graph import Conv, Dense, Flatten, Graph, Neurons, Norm
from spikeproof.export.layers import float64, read_layers


def apply(conv, x):
    w, b = torch.tensor(conv.weight), torch.tensor(conv.bias)
    return F.conv2d(x, w, b, conv.stride, conv.padding, conv.dilation, conv.groups)


def draw_conv(rng, outputs=6, groups=2, **options):
    weight = rng.normal(size=(outputs, 4 // groups, 3, 2))
    return Conv(weight=weight, bias=rng.normal(size=outputs), groups=groups, **options)


def draw_norm(rng, channels=6):
    return Norm(gain=rng.normal(size=channels), shift=rng.normal(size=channels))


@pytest.mark.parametrize("affine", [True, False])
def test_folded_conv_equals_conv_and_batch_norm_of_torch(make_network, rng, affine):
    conv = nn.Conv2d(2, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2)
    norm = nn.BatchNorm2d(6, eps=0.02, affine=affine)
    network = make_network([("conv", conv), ("norm", norm)])
    folded = fold_norms(read_layers(network))
    x = torch.tensor(rng.normal(size=(3, 2, 8, 12)))
    expected = network.double().eval().layers(x)
    torch.testing.assert_close(apply(folded.nodes["conv"], x), expected, rtol=0, atol=1e-12)
    assert folded.edges == (("input", "conv"), ("conv", "output"))


def test_norm_folds_into_a_dense_layer(chain, rng):
    dense, norm = Dense(weight=rng.normal(size=(6, 4)), bias=rng.normal(size=6)), draw_norm(rng)
    folded = fold_norms(chain((4,), dense=dense, norm=norm)).nodes["dense"]
    x = rng.normal(size=4)
    expected = norm.gain * (dense.weight @ x + dense.bias) + norm.shift
    np.testing.assert_allclose(folded.weight @ x + folded.bias, expected, rtol=0, atol=1e-12)


def test_norm_of_a_sum_folds_into_every_summand(rng):
    a, b, norm = draw_conv(rng), draw_conv(rng), draw_norm(rng)
    edges = (("input", "a"), ("input", "b"), ("a", "n"), ("b", "n"), ("n", "output"))
    graph = Graph(nodes={"a": a, "b": b, "n": norm}, edges=edges, input_shape=(4, 5, 6))
    folded = fold_norms(graph)
    x = torch.tensor(rng.normal(size=(2, 4, 5, 6)))
    gain, shift = (torch.tensor(v).reshape(-1, 1, 1) for v in (norm.gain, norm.shift))
    expected = (apply(a, x) + apply(b, x)) * gain + shift
    found = sum(apply(folded.nodes[name], x) for name in folded.before("output"))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_a_layer_that_feeds_more_than_the_norm_is_copied(rng):
    a, norm = draw_conv(rng), draw_norm(rng)
    edges = (("input", "a"), ("a", "n"), ("n", "fire"), ("a", "other"))
    fire = Neurons(theta=1.0, decay=1.0)
    graph = Graph(
        nodes={"a": a, "n": norm, "fire": fire, "other": fire}, edges=edges, input_shape=(4, 5, 6)
    )
    folded = fold_norms(graph)
    assert folded.before("other") == ["a"]
    assert folded.nodes["a"] is a
    assert folded.before("fire") == ["a_n"]
    np.testing.assert_array_equal(
        folded.nodes["a_n"].weight, a.weight * norm.gain[:, None, None, None]
    )
    assert folded.before("a_n") == ["input"]


def test_folding_changes_no_array_in_place(chain, rng):
    conv, norm = draw_conv(rng), draw_norm(rng)
    before = conv.weight.copy(), conv.bias.copy()
    fold_norms(chain((4, 5, 6), conv=conv, norm=norm))
    np.testing.assert_array_equal(conv.weight, before[0])
    np.testing.assert_array_equal(conv.bias, before[1])


@pytest.mark.parametrize("node", [Neurons(theta=1.0, decay=1.0), Flatten()])
def test_norm_after_anything_else_is_refused(chain, rng, node):
    with pytest.raises(UnsupportedNodeError, match="before batch norm 'norm', got 'other'"):
        fold_norms(chain((6, 5, 6), other=node, norm=draw_norm(rng)))


def test_norm_of_the_input_is_refused(chain, rng):
    with pytest.raises(UnsupportedNodeError, match="got 'input' \\(the input\\)"):
        fold_norms(chain((6, 5, 6), norm=draw_norm(rng)))


def test_float64_is_a_copy():
    tensor = torch.ones(3)
    float64(tensor)[0] = 7
    assert tensor[0] == 1
