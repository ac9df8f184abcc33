"""Shapes of networks: a table, in which a new one is a line."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import nn

from ..core.errors import ConfigError
from .network_config import NetworkConfig
from .spiking import neurons_of
from .wide_resnet import WideResNet, build_wide_resnet, wide_resnet

Stage = Literal["conv", "pool"]
STAGES: tuple[Stage, ...] = ("conv", "pool")


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Convolutions and pools, then dense layers.

    A `conv` is a 3x3 convolution (padding 1, with bias), batch norm and neurons; a `pool` averages
    2x2 fields; a dense layer has neurons, and the last one is read out.

    Args:
        stages: In order.
        widths: Usual channels of each convolution.
        hidden: Usual neurons of each hidden dense layer.
    """

    stages: tuple[Stage, ...]
    widths: tuple[int, ...]
    hidden: tuple[int, ...]

    @property
    def pools(self) -> int:
        """How often the map is halved."""
        return self.stages.count("pool")


ARCHITECTURES: dict[str, Architecture] = {
    "digits-conv": Architecture(stages=("conv", "pool", "conv"), widths=(16, 32), hidden=()),
    "conv-28": Architecture(stages=("conv", "pool", "conv", "pool"), widths=(16, 32), hidden=(64,)),
    "vgg5": Architecture(
        stages=("conv", "pool", "conv", "conv", "pool"),
        widths=(64, 128, 128),
        hidden=(4096, 4096),
    ),
    "vgg11": Architecture(
        stages=(
            *("conv", "pool"),
            *("conv", "conv", "pool"),
            *("conv", "conv", "conv", "pool"),
            *("conv", "conv"),
        ),
        widths=(64, 128, 256, 512, 512, 512, 512, 512),
        hidden=(4096, 4096),
    ),
}
"""VGG-5 and VGG-11 are those of the SR paper's code (Liu et al. 2024); the others are ours."""

USUAL: dict[tuple[int, int], str] = {(8, 8): "digits-conv", (28, 28): "conv-28", (32, 32): "vgg5"}
"""Which architecture an image size gets where none is named."""


def architecture(name: str) -> Architecture | WideResNet:
    """The architecture called `name`: of the table, `wrn16-4` of any depth and width, or a row.

    A row spells its stages, as in `conv-pool-conv`; widths and hidden layers are then to be named.

    Raises:
        ConfigError: If there is none.
    """
    found = ARCHITECTURES.get(name) or wide_resnet(name) or _row(name)
    if found is None:
        raise ConfigError(
            f"expected an architecture among {', '.join(ARCHITECTURES)}, a wide residual network "
            f"as wrn16-4 (depth 6n+4, width) or a row as conv-pool-conv, got {name!r}; choose one"
        )
    return found


def _row(name: str) -> Architecture | None:
    stages: tuple[Stage, ...] = tuple(
        stage for word in name.split("-") for stage in STAGES if stage == word
    )
    if "conv" not in stages or "-".join(stages) != name:
        return None
    return Architecture(stages=stages, widths=(), hidden=())


def build(config: NetworkConfig) -> nn.Sequential:
    """The layers of a network, named and in order, with fresh weights.

    Only `Conv2d`, `BatchNorm2d`, `Spiking`, `AvgPool2d`, `Flatten` and `Linear` occur, and where
    layers are wired `Mixture`. Weights come from torch's global generator.

    Raises:
        ConfigError: If the architecture is unknown, `widths` do not fit it, or the pools do not
            tile the image.
    """
    plan = architecture(config.architecture)
    if isinstance(plan, WideResNet):
        return build_wide_resnet(config, plan)
    convs = plan.stages.count("conv")
    if len(config.widths) != convs:
        raise ConfigError(
            f"expected {convs} widths for {config.architecture}, got {config.widths}; "
            + (f"the usual ones are {plan.widths}" if plan.widths else "name them")
        )
    _, height, width = config.input_shape
    if height % 2**plan.pools or width % 2**plan.pools:
        raise ConfigError(
            f"expected an image size that divides by {2**plan.pools} for {config.architecture}, "
            f"got {height}x{width}; crop or pad the images, or choose another architecture"
        )
    network = nn.Sequential()
    for name, layer in (*_features(config, plan), *_classifier(config, plan)):
        network.add_module(name, layer)
    return network


def _features(config: NetworkConfig, plan: Architecture) -> Iterator[tuple[str, nn.Module]]:
    channels, conv, pool = config.input_shape[0], 0, 0
    for stage in plan.stages:
        if stage == "pool":
            pool += 1
            yield f"pool{pool}", nn.AvgPool2d(2)
            continue
        width = config.widths[conv]
        conv += 1
        yield f"conv{conv}", nn.Conv2d(channels, width, 3, padding=1)
        yield f"norm{conv}", nn.BatchNorm2d(width)
        yield f"spike{conv}", neurons_of(config)
        channels = width


def _classifier(config: NetworkConfig, plan: Architecture) -> Iterator[tuple[str, nn.Module]]:
    _, height, width = config.input_shape
    size = config.widths[-1] * (height >> plan.pools) * (width >> plan.pools)
    yield "flatten", nn.Flatten()
    for number, neurons in enumerate(config.hidden, start=1):
        yield f"dense{number}", nn.Linear(size, neurons)
        yield f"dense_spike{number}", neurons_of(config)
        size = neurons
    yield "readout", nn.Linear(size, config.classes)
    if config.readout == "spikes":
        yield "readout_spike", neurons_of(config)
