"""Networks and graphs that the export tests share."""

from collections import OrderedDict
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from spikeproof.export.graph import Graph
from spikeproof.train.network import NetworkConfig, SpikingNetwork

CONFIG = NetworkConfig(
    architecture="conv-28",
    input_shape=(2, 8, 12),
    classes=5,
    steps=6,
    widths=(6, 8),
    hidden=(20,),
    mean=(33, 120),
    std=(0.31, 0.17),
)


@pytest.fixture
def chain():
    """Makes a graph of named nodes in a row."""

    def make(shape, **nodes):
        names = ["input", *nodes, "output"]
        return Graph(nodes=nodes, edges=tuple(pairwise(names)), input_shape=shape)

    return make


@pytest.fixture
def make_network():
    """Makes a network in which no parameter has its initial value and every layer fires."""

    def make(layers=None, *, seed=0, **changes):
        torch.manual_seed(seed)
        config = replace(CONFIG, **changes)
        network = SpikingNetwork(config)
        if layers is not None:
            network.layers = nn.Sequential(OrderedDict(layers))
        with torch.no_grad():
            for module in network.modules():
                _draw(module)
        return network

    return make


def _draw(module):
    if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
        module.running_mean.normal_(0, 0.3)
    if isinstance(module, nn.BatchNorm2d) and module.running_var is not None:
        module.running_var.uniform_(0.3, 2)
    if isinstance(module, nn.BatchNorm2d) and module.affine:
        module.weight.uniform_(0.7, 1.7)
        module.bias.normal_(0.4, 0.4)
    if isinstance(module, nn.Linear):
        module.weight.mul_(3)
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        module.bias.normal_(0.2, 0.3)


@pytest.fixture
def images():
    shape = (7, *CONFIG.input_shape)
    return torch.tensor(np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8))
