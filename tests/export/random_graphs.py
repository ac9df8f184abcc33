"""Random wired networks: asymmetric kernels, strides, groups, pools, residual sums, biases."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from hypothesis import strategies as st
from torch import nn

from spikeproof.train.network import NetworkConfig, SpikingNetwork
from spikeproof.train.spiking import Spiking
from spikeproof.train.wiring import Mixture, Wired

CONFIG = NetworkConfig(
    architecture="conv-28",
    input_shape=(2, 8, 12),
    classes=3,
    steps=4,
    widths=(2, 2),
    hidden=(),
    mean=(33, 120),
    std=(0.31, 0.17),
)
Shape = tuple[int, int, int]


@dataclass
class Plan:
    """Layers by name, what each reads, and the shapes of those that may be read again."""

    draw: Callable[..., Any]
    layers: dict[str, nn.Module] = field(default_factory=dict)
    wiring: dict[str, tuple[str, ...]] = field(default_factory=dict)
    spikes: dict[str, Shape] = field(default_factory=dict)
    sums: dict[str, Shape] = field(default_factory=dict)

    def add(self, name: str, layer: nn.Module, *sources: str) -> str:
        """A layer that reads `sources`."""
        self.layers[name], self.wiring[name] = layer, sources
        return name

    def conv(self, name: str, source: str, shape: Shape) -> tuple[str, Shape]:
        """A convolution of any geometry, behind a pool or not."""
        draw, (channels, height, width) = self.draw, shape
        kernel = draw(st.sampled_from([(2, 2), (2, 1), (1, 3)]))
        is_pooled = height >= kernel[0] and width >= kernel[1] and draw(st.booleans())
        tiles = not (height % kernel[0] or width % kernel[1])
        if is_pooled:
            source = self.add(f"{name}_pool", nn.AvgPool2d(kernel), source)
            height, width = height // kernel[0], width // kernel[1]
        size = tuple(draw(st.integers(1, min(3, n))) for n in (height, width))
        stride = tuple(draw(st.integers(1, 2)) for _ in range(2))
        padded = 2 if tiles or not is_pooled else 0
        padding = tuple(draw(st.integers(0, padded)) for _ in range(2))
        groups = draw(st.sampled_from([1, channels]))
        outputs = groups * draw(st.integers(1, 2))
        options = {"stride": stride, "padding": padding, "groups": groups}
        conv = nn.Conv2d(channels, outputs, size, bias=draw(st.booleans()), **options)
        sizes = zip((height, width), size, stride, padding, strict=True)
        after = tuple((n + 2 * p - k) // s + 1 for n, k, s, p in sizes)
        return self.add(name, conv, source), (outputs, after[0], after[1])

    def shortcut(self, name: str, shape: Shape) -> str | None:
        """A current of this shape: an earlier sum, or a convolution of earlier spikes that fits."""
        same = [s for s, other in self.sums.items() if other == shape]
        wide = [s for s, o in self.spikes.items() if o[1] >= shape[1] and o[2] >= shape[2]]
        source = self.draw(st.sampled_from([*same, *wide])) if same or wide else None
        if source is None or source in same:
            return source
        channels, height, width = self.spikes[source]
        kernel = height - shape[1] + 1, width - shape[2] + 1
        return self.add(name, nn.Conv2d(channels, shape[0], kernel), source)


@st.composite
def random_plans(draw: Callable[..., Any]) -> tuple[Plan, int]:
    """One to four layers of neurons and a read-out, and the seed of their weights."""
    plan, source, shape = Plan(draw), "input", CONFIG.input_shape
    theta, decay = draw(st.sampled_from([0.6, 1.0])), draw(st.sampled_from([1.0, 0.8]))
    for k in range(draw(st.integers(1, 4))):
        current, shape = plan.conv(f"conv{k}", source, shape)
        side = plan.shortcut(f"short{k}", shape) if draw(st.booleans()) else None
        if side is not None:
            current = plan.add(f"sum{k}", Mixture(), current, side)
            plan.sums[current] = shape
        if draw(st.booleans()):
            current = plan.add(f"norm{k}", nn.BatchNorm2d(shape[0]), current)
        source = plan.add(f"spike{k}", Spiking(theta=theta, decay=decay), current)
        plan.spikes[source] = shape
    flat = plan.add("flat", nn.Flatten(), source)
    size = shape[0] * shape[1] * shape[2]
    plan.add("out", nn.Linear(size, CONFIG.classes, bias=draw(st.booleans())), flat)
    return plan, draw(st.integers(0, 2**31))


def network_of(plan: Plan, seed: int) -> SpikingNetwork:
    """The planned network with random weights and statistics."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SpikingNetwork(CONFIG)
        network.layers = Wired(plan.layers, plan.wiring)
        with torch.no_grad():
            for module in network.modules():
                _draw(module)
    return network.eval()


def _draw(module: nn.Module) -> None:
    if isinstance(module, nn.BatchNorm2d):
        module.running_mean.normal_(0, 0.3)  # type: ignore[union-attr]
        module.running_var.uniform_(0.3, 2)  # type: ignore[union-attr]
        module.weight.uniform_(0.7, 1.7)
        module.bias.normal_(0.4, 0.4)
    elif isinstance(module, nn.Conv2d | nn.Linear):
        module.weight.normal_(0, 1.5 / module.weight[0].numel() ** 0.5)
        if module.bias is not None:
            module.bias.normal_(0.2, 0.3)
    elif isinstance(module, Mixture):
        module.weight.uniform_(-1, 1)
