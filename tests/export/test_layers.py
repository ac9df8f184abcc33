# nir's annotations are narrower than what it takes, and nodes of a graph are known by name here.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportOptionalMemberAccess=false

import pytest
import torch
from torch import nn

from spikeproof.core.errors import UnsupportedNodeError
from spikeproof.export.graph import Conv, Pool
from spikeproof.export.layers import read_layers
from spikeproof.train.spiking import Spiking


def read_one(make_network, layer):
    return read_layers(make_network([("layer", layer)])).nodes["layer"]


def test_conv_keeps_every_setting(make_network):
    layer = nn.Conv2d(2, 6, (3, 5), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2)
    node = read_one(make_network, layer)
    assert isinstance(node, Conv)
    assert node.weight.tolist() == layer.weight.tolist()
    assert node.bias.tolist() == layer.bias.tolist()
    assert (node.stride, node.padding, node.dilation, node.groups) == ((2, 1), (1, 0), (1, 2), 2)


@pytest.mark.parametrize(("padding", "expected"), [("same", (2, 2)), ("valid", (0, 0))])
def test_conv_padding_in_words_becomes_numbers(make_network, padding, expected):
    layer = nn.Conv2d(2, 3, (3, 5), padding=padding, dilation=(2, 1))
    assert read_one(make_network, layer).padding == expected


def test_absent_bias_is_zero(make_network):
    assert read_one(make_network, nn.Conv2d(2, 3, 3, bias=False)).bias.tolist() == [0, 0, 0]
    assert read_one(make_network, nn.Linear(2, 3, bias=False)).bias.tolist() == [0, 0, 0]


def test_pool_divisor_is_its_factor(make_network):
    assert read_one(make_network, nn.AvgPool2d((2, 4))).factor == 1 / 8
    node = read_one(make_network, nn.AvgPool2d(2, divisor_override=1))
    assert isinstance(node, Pool)
    assert (node.kernel, node.factor) == ((2, 2), 1.0)


def test_neurons_keep_theta_and_decay(make_network):
    node = read_one(make_network, Spiking(theta=0.7, decay=0.85))
    assert (node.theta, node.decay) == (0.7, 0.85)


REFUSED = {
    "module": (nn.MaxPool2d(2), "one of Conv2d, .*, got MaxPool2d"),
    "padding mode": (nn.Conv2d(2, 3, 3, padding_mode="reflect"), "zero padding"),
    "uneven same": (nn.Conv2d(2, 3, 4, padding="same"), "same padding on both sides"),
    "statistics": (nn.BatchNorm2d(2, track_running_stats=False), "running statistics"),
    "uncounted padding": (
        nn.AvgPool2d(2, padding=1, count_include_pad=False),
        "counts its padding \\(count_include_pad\\)",
    ),
    "flatten": (nn.Flatten(2), "flatten of all axes but the batch"),
}


@pytest.mark.parametrize(("layer", "message"), REFUSED.values(), ids=REFUSED)
def test_layer_is_refused_with_name_and_position(make_network, layer, message):
    network = make_network([("conv", nn.Conv2d(2, 2, 1)), ("odd", layer)])
    with pytest.raises(
        UnsupportedNodeError, match=rf"expected layer 1 \('odd'\) to be .*{message}"
    ):
        read_layers(network)


def test_layer_named_like_an_end_is_refused(make_network):
    with pytest.raises(UnsupportedNodeError, match="other than 'input' and 'output'"):
        read_layers(make_network([("output", nn.Conv2d(2, 2, 1))]))


def test_float32_weights_are_read_exactly(make_network):
    network = make_network()
    node = read_layers(network).nodes["conv1"]
    assert torch.equal(torch.tensor(node.weight), network.layers.conv1.weight.double())
