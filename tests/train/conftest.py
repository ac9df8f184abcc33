"""Small real data and small networks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from spikeproof.datasets.images import ImageData, load
from spikeproof.tests.train.tiny import TINY
from spikeproof.train.config import TrainConfig
from spikeproof.train.network import NetworkConfig, SpikingNetwork


@pytest.fixture(scope="session")
def digits() -> ImageData:
    """The first 120 digits."""
    return load("digits", limit=120)


@pytest.fixture
def tiny_config() -> NetworkConfig:
    """A network for digits."""
    return TINY


@pytest.fixture
def make_network(tiny_config) -> Callable[..., SpikingNetwork]:
    """Networks with seeded weights and statistics under which every layer fires."""

    def make(**changes) -> SpikingNetwork:
        with torch.random.fork_rng():
            torch.manual_seed(3)
            network = SpikingNetwork(replace(tiny_config, **changes))
            for layer in network.layers:
                if isinstance(layer, torch.nn.BatchNorm2d):
                    layer.running_mean = torch.randn(layer.num_features) * 0.2
                    layer.running_var = torch.rand(layer.num_features) + 0.2
                    torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
                    torch.nn.init.uniform_(layer.bias, 0.0, 0.4)
                if isinstance(layer, torch.nn.Linear):
                    layer.weight.data.mul_(3.0)
        return network

    return make


@pytest.fixture
def images() -> torch.Tensor:
    """Six images in [0, 1]."""
    return torch.rand((6, 1, 8, 8), generator=torch.Generator().manual_seed(5))


@pytest.fixture
def labels() -> torch.Tensor:
    """Their classes."""
    return torch.tensor([0, 3, 9, 1, 1, 7])


@pytest.fixture
def quick() -> TrainConfig:
    """Three epochs of SR* on a part of the digits."""
    return TrainConfig(
        method="srstar",
        epochs=3,
        batch_size=32,
        attack_steps=2,
        penalty_weight=0.002,
        holdout=0.2,
        validation_steps=2,
    )


class InterruptAfter:
    """A tracker that ends the work after some steps, as a kill would."""

    def __init__(self, units: int) -> None:
        self.left = units

    @contextmanager
    def task(self, label: str, total: int) -> Iterator["InterruptAfter"]:
        """Counts what is advanced."""
        del label, total
        yield self

    def advance(self, units: int = 1, note: str = "") -> None:
        """Raises when the last step is used up."""
        del note
        self.left -= units
        if self.left <= 0:
            raise KeyboardInterrupt


@pytest.fixture
def interrupt_after() -> type[InterruptAfter]:
    """Makes trackers that interrupt."""
    return InterruptAfter
