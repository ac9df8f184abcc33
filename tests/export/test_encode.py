# nir's annotations are narrower than what it takes, and nodes of a graph are known by name here.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportOptionalMemberAccess=false

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from spikeproof.core.errors import UnsupportedNodeError
from spikeproof.export.encode import fold_input
from spikeproof.export.graph import Conv, Dense, Flatten, Graph, Neurons

DIVISOR = np.array([40.0, 77.5, 12.25, 100.0])
SHAPE = (4, 5, 6)


def payload(rng):
    return torch.tensor(rng.integers(-255, 256, (3, *SHAPE)).astype(float))


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_conv_of_the_payload_equals_conv_of_the_encoded_input(chain, rng, groups):
    weight = rng.normal(size=(8, 4 // groups, 3, 2))
    conv = Conv(weight=weight, bias=rng.normal(size=8), padding=(2, 1), groups=groups)
    folded = fold_input(chain(SHAPE, conv=conv), DIVISOR).nodes["conv"]
    p = payload(rng)

    def apply(node, x):
        w, b = torch.tensor(node.weight), torch.tensor(node.bias)
        return F.conv2d(x, w, b, padding=(2, 1), groups=groups)

    expected = apply(conv, p / torch.tensor(DIVISOR).reshape(-1, 1, 1))
    torch.testing.assert_close(apply(folded, p), expected, rtol=0, atol=1e-12)


def test_dense_of_the_flattened_payload_equals_dense_of_the_encoded_input(chain, rng):
    dense = Dense(weight=rng.normal(size=(7, 120)), bias=rng.normal(size=7))
    folded = fold_input(chain(SHAPE, flat=Flatten(), dense=dense), DIVISOR).nodes["dense"]
    p = payload(rng).numpy()
    expected = (p / DIVISOR[:, None, None]).reshape(3, -1) @ dense.weight.T
    np.testing.assert_allclose(p.reshape(3, -1) @ folded.weight.T, expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(folded.bias, dense.bias)


def test_every_layer_that_reads_the_input_is_scaled(rng):
    conv = Conv(weight=rng.normal(size=(2, 4, 1, 1)), bias=np.zeros(2))
    edges = (("input", "a"), ("input", "b"), ("a", "fire"), ("b", "fire"), ("fire", "output"))
    fire = Neurons(theta=1.0, decay=1.0)
    graph = Graph(nodes={"a": conv, "b": conv, "fire": fire}, edges=edges, input_shape=SHAPE)
    folded = fold_input(graph, DIVISOR)
    for name in "ab":
        expected = conv.weight / DIVISOR[:, None, None]
        np.testing.assert_array_equal(folded.nodes[name].weight, expected)


def test_later_layers_stay_as_they_are(chain, rng):
    conv = Conv(weight=rng.normal(size=(4, 4, 1, 1)), bias=np.zeros(4))
    fire = Neurons(theta=1.0, decay=1.0)
    folded = fold_input(chain(SHAPE, conv=conv, fire=fire, later=conv), DIVISOR)
    assert folded.nodes["later"] is conv


def test_neurons_on_the_input_are_refused(chain):
    graph = chain(SHAPE, fire=Neurons(theta=1.0, decay=1.0))
    with pytest.raises(
        UnsupportedNodeError,
        match="the input to feed a convolution or a dense layer, got 'fire' \\(Neurons\\)",
    ):
        fold_input(graph, DIVISOR)
