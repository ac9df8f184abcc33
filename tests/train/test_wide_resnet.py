from dataclasses import replace

import pytest
import torch
from torch import nn

from spikeproof.core.errors import ConfigError, UnsupportedNodeError
from spikeproof.tests.train.residual import FULL, SMALL, random_images, random_wide_resnet
from spikeproof.train.architectures import architecture
from spikeproof.train.network import SpikingNetwork
from spikeproof.train.spiking import Spiking
from spikeproof.train.wide_resnet import WideResNet
from spikeproof.train.wiring import Mixture, sources_of


def plain_logits(network, x):
    """The network written out by hand, step after step in no layer, all of them in one."""
    config = network.config
    part = dict(network.layers.named_children())
    at = lambda name, x: part[name](x.flatten(0, 1)).unflatten(0, x.shape[:2])  # noqa: E731
    mean, std = (
        torch.tensor(v, dtype=x.dtype).view(1, -1, 1, 1) for v in (config.mean, config.std)
    )
    current = at("conv", ((255 * x - mean) / (255 * std)).expand(config.steps, *x.shape))
    for stage, _ in enumerate(config.widths[1:], start=1):
        for block in (1, 2):
            name = f"block{stage}_{block}"
            spikes = part[f"{name}_spike1"](at(f"{name}_norm1", current))
            branch = at(f"{name}_norm2", at(f"{name}_conv1", spikes))
            branch = at(f"{name}_conv2", part[f"{name}_spike2"](branch))
            kept = at(f"{name}_short", spikes) if block == 1 else current
            a, b = part[f"{name}_sum"].weight
            current = a * kept + b * branch
    spikes = part["spike"](at("norm", current))
    return part["readout"](spikes.mean((3, 4)).flatten(0, 1)).unflatten(0, spikes.shape[:2]).mean(0)


def test_logits_are_those_of_the_blocks_written_out():
    network = random_wide_resnet().double()
    x = random_images(SMALL, 3) / 255.0
    torch.testing.assert_close(
        network(x.double()), plain_logits(network, x.double()), rtol=0, atol=1e-12
    )


def test_every_layer_fires():
    rates = random_wide_resnet().rates(random_images(SMALL, 4) / 255)
    assert len(rates) == 9
    assert min(rates.values()) > 0.02


def test_wrn16_4_has_thirteen_wide_convolutions_and_populations():
    layers = dict(SpikingNetwork(FULL).layers.named_children())
    convs = [m for m in layers.values() if isinstance(m, nn.Conv2d)]
    deep = [m for m in convs if m.kernel_size == (3, 3)]
    assert len(deep) == 13
    assert len([m for m in layers.values() if isinstance(m, Spiking)]) == 13
    assert [m.stride for m in convs if m.kernel_size == (1, 1)] == [(1, 1), (2, 2), (2, 2)]
    assert (convs[0].out_channels, convs[-1].out_channels) == (16, 256)


def test_block_of_equal_width_adds_the_current_itself():
    sources = sources_of(SpikingNetwork(SMALL).layers)
    assert sources["block1_2_sum"] == ("block1_1_sum", "block1_2_conv2")
    assert sources["block1_2_norm1"] == ("block1_1_sum",)
    assert sources["block2_1_sum"] == ("block2_1_short", "block2_1_conv2")
    assert sources["block2_1_short"] == ("block2_1_spike1",)


def test_mixture_starts_as_the_mean_and_is_learned():
    network = SpikingNetwork(SMALL).train()
    network(random_images(SMALL, 4) / 255).sum().backward()
    weights = [m.weight for m in network.modules() if isinstance(m, Mixture)]
    assert all(w.tolist() == [0.5, 0.5] for w in weights)
    assert all(w.grad is not None and (w.grad != 0).all() for w in weights)


def test_static_current_is_added_at_every_step():
    config = replace(SMALL, widths=(3, 3, 4))
    network = random_wide_resnet(config).double()
    outputs = dict(network.walk(random_images(config, 2).double() / 255))
    assert outputs["conv"].ndim == 4
    assert outputs["block1_1_sum"].shape == (4, 2, 3, 8, 8)


def test_odd_maps_are_halved_upwards():
    config = replace(SMALL, input_shape=(2, 7, 9))
    assert SpikingNetwork(config)(torch.rand(2, 2, 7, 9)).shape == (2, 5)


def test_wired_layers_are_not_called_as_a_row():
    with pytest.raises(UnsupportedNodeError, match="SpikingNetwork.walk to run wired layers"):
        SpikingNetwork(SMALL).layers(torch.rand(1, 2, 8, 8))


@pytest.mark.parametrize("changes", [{"hidden": (4,)}, {"widths": (4,)}])
def test_other_sizes_are_refused(changes):
    with pytest.raises(ConfigError, match="no hidden layers and widths of a first convolution"):
        SpikingNetwork(replace(SMALL, **changes))


@pytest.mark.parametrize(
    ("name", "blocks", "widths"),
    [
        ("wrn10-2", 1, (16, 32, 64, 128)),
        ("wrn16-4", 2, (16, 64, 128, 256)),
        ("wrn28-10", 4, (16, 160, 320, 640)),
    ],
)
def test_names_of_wide_resnets_tell_depth_and_width(name, blocks, widths):
    plan = architecture(name)
    assert isinstance(plan, WideResNet)
    assert (plan.blocks, plan.widths, plan.hidden) == (blocks, widths, ())


@pytest.mark.parametrize("name", ["wrn", "wrn4-4", "wrn17-4", "wrn16-0", "wrn16-4-"])
def test_other_names_are_refused(name):
    with pytest.raises(ConfigError, match=rf"among .*vgg11, a wide .* as wrn16-4 .*got '{name}'"):
        architecture(name)
