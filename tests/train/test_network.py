from dataclasses import replace

import pytest
import torch
from torch import nn

from spikeproof.core.errors import ConfigError, DataError
from spikeproof.train.architectures import ARCHITECTURES
from spikeproof.train.config import NetworkOptions
from spikeproof.train.network import NetworkConfig, SpikingNetwork
from spikeproof.train.spiking import Spiking

SIZES = {
    "digits-conv": (1, 8, 8),
    "conv-28": (1, 28, 28),
    "vgg5": (3, 32, 32),
    "vgg11": (3, 32, 32),
}
KINDS = (nn.Conv2d, nn.BatchNorm2d, Spiking, nn.AvgPool2d, nn.Flatten, nn.Linear)


def slow_logits(network: SpikingNetwork, x: torch.Tensor) -> torch.Tensor:
    """Every layer at every step, nothing computed once."""
    mean = torch.tensor(network.config.mean).view(-1, 1, 1)
    std = torch.tensor(network.config.std, dtype=x.dtype).view(-1, 1, 1)
    output = ((255 * x - mean) / (255 * std)).expand(network.config.steps, *x.shape)
    for layer in network.layers:
        if isinstance(layer, Spiking):
            output = layer.reference(output)
        else:
            output = layer(output.flatten(0, 1)).unflatten(0, output.shape[:2])
    return output.mean(0)


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_architectures_give_logits_from_known_layers(name):
    widths = tuple(2 for _ in ARCHITECTURES[name].widths)
    shape = SIZES[name]
    config = NetworkConfig(
        architecture=name,
        input_shape=shape,
        classes=7,
        steps=3,
        widths=widths,
        hidden=(5,),
        mean=(100,) * shape[0],
        std=(0.2,) * shape[0],
    )
    network = SpikingNetwork(config)
    assert network(torch.rand(2, *shape)).shape == (2, 7)
    assert all(type(layer) in KINDS for layer in network.layers)
    assert isinstance(network.layers[-1], nn.Linear)


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_convolutions_have_a_bias_and_precede_norm_and_neurons(name, tiny_config):
    plan = ARCHITECTURES[name]
    widths = tuple(2 for _ in plan.widths)
    side = SIZES[name][1]
    layers = list(
        SpikingNetwork(
            replace(tiny_config, architecture=name, widths=widths, input_shape=(1, side, side))
        ).layers
    )
    at = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    assert len(at) == plan.stages.count("conv")
    assert all(layers[i].bias is not None for i in at)
    assert all(isinstance(layers[i + 1], nn.BatchNorm2d) for i in at)
    assert all(isinstance(layers[i + 2], Spiking) for i in at)


@pytest.mark.parametrize("neuron", [{}, {"neuron": "lif", "decay": 0.8}])
def test_logits_equal_every_layer_at_every_step(neuron, make_network, images):
    network = make_network(**neuron).double().eval()
    x = images.double()
    torch.testing.assert_close(network(x), slow_logits(network, x), rtol=0, atol=1e-12)


def test_every_layer_fires_in_the_test_network(make_network, images):
    rates = make_network().eval().rates(images)
    assert list(rates) == ["spike1", "spike2", "dense_spike1"]
    assert all(0.02 < rate < 0.98 for rate in rates.values())


def test_training_statistics_equal_every_layer_at_every_step(make_network, images):
    once, slow = make_network().double().train(), make_network().double().train()
    x = images.double()
    torch.testing.assert_close(once(x), slow_logits(slow, x), rtol=0, atol=1e-9)
    for name, value in once.state_dict().items():
        torch.testing.assert_close(value, slow.state_dict()[name], rtol=1e-9, atol=1e-12)


def test_training_gradients_equal_every_layer_at_every_step(make_network, images, labels):
    once, slow = make_network().double().train(), make_network().double().train()
    for layer in slow.layers:  # Norse differentiates spikes in its own way; use ours in both.
        if isinstance(layer, Spiking):
            layer.reference = layer.forward
    x = images.double()
    nn.functional.cross_entropy(once(x), labels).backward()
    nn.functional.cross_entropy(slow_logits(slow, x), labels).backward()
    for ours, theirs in zip(once.parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-9)


def test_lattice_images_are_encoded_as_whole_numbers(make_network):
    network = make_network(std=(1 / 255,))
    network.layers[0] = nn.Identity()
    x = torch.arange(64).view(1, 1, 8, 8) * 4 / 255
    _, payload = next(network.walk(x))
    assert torch.equal(payload, torch.arange(64.0).view(1, 1, 8, 8) * 4 - 78)


def test_estimator_changes_the_gradient_and_not_the_logits(make_network, images):
    network, x = make_network().eval(), images.requires_grad_()
    logits = network(x)
    (gradient,) = torch.autograd.grad(logits.square().sum(), x)
    network.set_estimator("rga")
    assert torch.equal(network(x), logits)
    (other,) = torch.autograd.grad(network(x).square().sum(), x)
    assert not torch.equal(other, gradient)


def test_unknown_estimators_are_refused(make_network):
    with pytest.raises(ConfigError, match="expected a gradient estimator among"):
        make_network().set_estimator("none")


WIDE = NetworkOptions(architecture="wrn16-4")
HEAD_32 = 8192 * 4096 + 4096 + 4096 * 4096 + 4096
HEAD_48 = 18432 * 4096 + 4096 + 4096 * 4096 + 4096
PARAMETERS = {
    "vgg5": (
        NetworkOptions(architecture="vgg5"),
        (3, 32, 32),
        (27 * 64 + 64) + (576 * 128 + 128) + (1152 * 128 + 128) + 2 * 320 + HEAD_32 + 40_970,
    ),
    "vgg11": (NetworkOptions(architecture="vgg11"), (3, 32, 32), 10_996_224 + HEAD_32 + 40_970),
    "vgg11 for events": (
        NetworkOptions(architecture="vgg11", encoding="frames"),
        (2, 48, 48),
        10_996_224 - 9 * 64 + HEAD_48 + 40_970,
    ),
    "wrn16-4": (WIDE, (3, 32, 32), 2_748_902),
    "spiking read-out": (replace(WIDE, readout="spikes"), (3, 32, 32), 2_748_902),
}
"""Worked out by hand: the convolutions of VGG-11 have 1,792 + 73,856 + 295,168 + 1,180,160 +
4·2,359,808 parameters and its norms 2·3,008; WRN-16-4 has 432, blocks of 47,266, 73,986, 229,762,
295,426, 918,274 and 1,180,674, a norm of 512 and a read-out of 2,570."""


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_as_many_as_the_layer_sizes_say(name):
    options, shape, expected = PARAMETERS[name]
    mean, std = (0,) * shape[0], (1.0,) * shape[0]
    with torch.device("meta"):
        network = SpikingNetwork(options.shaped(shape, classes=10, mean=mean, std=std))
    assert sum(p.numel() for p in network.parameters()) == expected


def test_row_of_stages_is_an_architecture(tiny_config, images):
    config = replace(tiny_config, architecture="conv-conv-pool-conv-pool", widths=(3, 4, 5))
    network = SpikingNetwork(config)
    kinds = [type(layer).__name__ for layer in network.layers][:11]
    convolution = ["Conv2d", "BatchNorm2d", "Spiking"]
    assert kinds == [*convolution * 2, "AvgPool2d", *convolution, "AvgPool2d"]
    assert network(images).shape == (6, 10)


def test_spiking_readout_counts_spikes(make_network, images):
    network = make_network(readout="spikes", theta=0.3).eval()
    *_, (name, spikes) = network.walk(images)
    logits = network(images)
    assert name == "readout_spike"
    assert torch.equal(logits, spikes.sum(0))
    assert logits.max() > 1


def frames_of(count):
    return torch.randint(0, 4, (4, count, 1, 8, 8), generator=torch.Generator().manual_seed(2))


def test_frames_enter_one_a_step_and_unshifted(make_network):
    network = make_network(encoding="frames", mean=(0,), std=(0.5,)).double().eval()
    frames = frames_of(3).double()
    outputs = dict(network.walk(frames))
    expected = torch.stack([network.layers[0](frame / 0.5) for frame in frames])
    torch.testing.assert_close(outputs["conv1"], expected, rtol=0, atol=1e-12)
    assert network(frames).shape == (3, 10)


def test_equal_frames_are_an_image(make_network, images):
    direct = make_network(mean=(0,)).double().eval()
    events = make_network(mean=(0,), encoding="frames").double().eval()
    x = images.double()
    torch.testing.assert_close(events(x.expand(4, *x.shape)), direct(x), rtol=0, atol=1e-12)


def test_stacks_are_trains_of_payloads(make_network):
    network = make_network(encoding="frames", mean=(0,))
    stacks = torch.randint(0, 9, (3, 4, 8, 8), generator=torch.Generator().manual_seed(1)) / 255
    trains = (255 * stacks).round().unflatten(1, (4, 1)).transpose(0, 1)
    torch.testing.assert_close(network(stacks), network(trains), rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 2, 1, 8, 8), (2, 1, 8, 8), (4, 2, 1, 8, 9)])
def test_other_frames_are_refused(make_network, shape):
    with pytest.raises(DataError, match=r"expected stacks of 4 frames \[N, 4, 8, 8\], got \["):
        make_network(encoding="frames", mean=(0,))(torch.zeros(shape))


def test_images_of_another_size_are_refused(make_network):
    with pytest.raises(DataError, match=r"expected images \[N, 1, 8, 8\], got \[2, 1, 9, 8\]"):
        make_network()(torch.rand(2, 1, 9, 8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "vgg"}, "expected an architecture among digits-conv"),
        ({"widths": (4,)}, "expected 2 widths for digits-conv, got"),
        ({"input_shape": (1, 9, 8)}, "expected an image size that divides by 2"),
        ({"neuron": "cuba"}, "expected neuron to be one of if, lif, relu, got 'cuba'"),
        ({"decay": 0.5}, "expected decay 1 for neuron 'if'"),
        ({"neuron": "lif"}, "expected decay between 0 and 1 for neuron 'lif'"),
        ({"theta": 0.0}, "expected theta > 0"),
        ({"readout": "rate"}, "expected readout to be one of membrane, spikes, got 'rate'"),
        ({"encoding": "poisson"}, "expected encoding to be one of direct, frames, got 'poisson'"),
        ({"encoding": "frames"}, r"expected mean 0 for frames of events, got \(78,\)"),
        ({"architecture": "pool-pool"}, "expected an architecture among .*, got 'pool-pool'"),
        ({"architecture": "conv-conv-conv"}, r"expected 3 widths .*, got \(4, 6\); name them"),
        ({"steps": 0}, "expected steps >= 1, got 0"),
        ({"steps": 10**30}, "expected steps, .* of at most 1048576, got 10000"),
        ({"widths": (10**30, 4)}, "expected steps, .* of at most 1048576, got 10000"),
        ({"mean": (1, 2)}, "expected a mean and a std for each of 1 channels"),
        ({"mean": (300,)}, r"expected lattice means 0\.\.255"),
        ({"std": (0.0,)}, "expected std > 0"),
    ],
)
def test_impossible_networks_are_refused(changes, message, tiny_config):
    with pytest.raises(ConfigError, match=message):
        SpikingNetwork(replace(tiny_config, **changes))
