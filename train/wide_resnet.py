"""Wide residual networks of spiking neurons: batch norm, neurons, convolution, and currents added.

The sum of a block is a current, not spikes: the next batch norm and the next shortcut both read it
(Liu et al. 2024 after Zagoruyko and Komodakis 2016).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from ..core.errors import ConfigError
from .network_config import NetworkConfig
from .spiking import neurons_of
from .wiring import Mixture, Wired

Layers = Iterator[tuple[str, nn.Module, tuple[str, ...]]]


@dataclass(frozen=True, kw_only=True)
class WideResNet:
    """A convolution, then stages of residual blocks, each stage but the first halving the map.

    Args:
        blocks: Per stage.
        widths: Usual channels of the first convolution and of each stage.
    """

    blocks: int
    widths: tuple[int, ...]
    hidden: tuple[int, ...] = ()


NAME = re.compile(r"wrn(\d{1,4})-(\d{1,4})")
STAGE_WIDTHS = (16, 32, 64)


def wide_resnet(name: str) -> WideResNet | None:
    """WRN-depth-width by its name, as `wrn16-4` of the SR paper: three stages, 6·blocks + 4 deep.

    Returns:
        None where the name is not of that form, or no number of blocks gives the depth.
    """
    found = NAME.fullmatch(name)
    depth, width = (int(part) for part in found.groups()) if found else (0, 0)
    if depth < 10 or depth % 6 != 4 or width < 1:
        return None
    return WideResNet(
        blocks=(depth - 4) // 6,
        widths=(STAGE_WIDTHS[0], *(width * channels for channels in STAGE_WIDTHS)),
    )


def build_wide_resnet(config: NetworkConfig, plan: WideResNet) -> Wired:
    """The layers, named, with fresh weights from torch's global generator.

    Raises:
        ConfigError: If `config` has hidden dense layers or no stage.
    """
    if config.hidden or len(config.widths) < 2:
        raise ConfigError(
            f"expected no hidden layers and widths of a first convolution and at least one stage "
            f"for {config.architecture}, got {config.hidden} and {config.widths}; the usual widths "
            f"are {plan.widths}"
        )
    layers, wiring = {}, {}
    for name, layer, sources in _network(config, plan):
        layers[name] = layer
        if sources:
            wiring[name] = sources
    return Wired(layers, wiring)


def _network(config: NetworkConfig, plan: WideResNet) -> Layers:
    """Name, layer, and what it reads where that is not the layer before it."""
    first = config.widths[0]
    yield "conv", nn.Conv2d(config.input_shape[0], first, 3, padding=1, bias=False), ()
    current, channels = "conv", first
    for stage, width in enumerate(config.widths[1:], start=1):
        for block in range(1, plan.blocks + 1):
            name, stride = f"block{stage}_{block}", 2 if stage > 1 and block == 1 else 1
            yield from _block(config, name, current, channels, width, stride)
            current, channels = f"{name}_sum", width
    yield "norm", nn.BatchNorm2d(channels), ()
    yield "spike", neurons_of(config), ()
    yield "pool", nn.AvgPool2d(_last_map(config)), ()
    yield "flatten", nn.Flatten(), ()
    yield "readout", nn.Linear(channels, config.classes), ()
    if config.readout == "spikes":
        yield "readout_spike", neurons_of(config), ()


def _block(
    config: NetworkConfig, name: str, current: str, before: int, after: int, stride: int
) -> Layers:
    """Two convolutions, and what was before them: as it is, or as 1x1 convolved spikes."""
    yield f"{name}_norm1", nn.BatchNorm2d(before), (current,)
    yield f"{name}_spike1", neurons_of(config), ()
    yield f"{name}_conv1", nn.Conv2d(before, after, 3, stride, padding=1, bias=False), ()
    yield f"{name}_norm2", nn.BatchNorm2d(after), ()
    yield f"{name}_spike2", neurons_of(config), ()
    yield f"{name}_conv2", nn.Conv2d(after, after, 3, padding=1, bias=False), ()
    shortcut = current
    if before != after or stride != 1:
        shortcut = f"{name}_short"
        point = nn.Conv2d(before, after, 1, stride, bias=False)
        yield shortcut, point, (f"{name}_spike1",)
    yield f"{name}_sum", Mixture(), (shortcut, f"{name}_conv2")


def _last_map(config: NetworkConfig) -> tuple[int, int]:
    """Height and width behind the strides, odd maps rounded up."""
    halvings = len(config.widths) - 2
    height, width = (-(-size // 2**halvings) for size in config.input_shape[1:])
    return height, width
