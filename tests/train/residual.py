"""Wide residual networks with random weights under which every layer fires."""

from dataclasses import replace

import torch
from torch import nn

from spikeproof.train.architectures import architecture
from spikeproof.train.network import NetworkConfig, SpikingNetwork
from spikeproof.train.wiring import Mixture

SMALL = NetworkConfig(
    architecture="wrn16-4",
    input_shape=(2, 8, 8),
    classes=5,
    steps=4,
    widths=(2, 3, 4),
    hidden=(),
    mean=(33, 120),
    std=(0.31, 0.17),
)
"""Four blocks, of which two add the current itself, one a 1x1 and one a strided 1x1 convolution."""

FULL = replace(
    SMALL,
    input_shape=(3, 32, 32),
    classes=10,
    steps=8,
    widths=architecture("wrn16-4").widths,
    mean=(125, 123, 114),
    std=(0.25, 0.24, 0.26),
)
"""WRN-16-4 on images of 3x32x32."""


def random_images(config: NetworkConfig, count: int, seed: int = 7) -> torch.Tensor:
    """Images uint8 `[N, C, H, W]`."""
    draw = torch.Generator().manual_seed(seed)
    shape = (count, *config.input_shape)
    return torch.randint(0, 256, shape, generator=draw, dtype=torch.uint8)


def random_wide_resnet(config=SMALL, *, seed=0, samples=4) -> SpikingNetwork:
    """Weights at random, norms with the statistics of noise, so that no layer is silent."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SpikingNetwork(config).train()
        with torch.no_grad():
            for module in network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.momentum = 1.0
                    module.weight.uniform_(0.7, 1.3)
                    module.bias.normal_(0.1, 0.2)
                elif isinstance(module, Mixture):
                    module.weight.uniform_(0.3, 0.7)
            network(random_images(config, samples, seed=1) / 255)
    return network.eval()
