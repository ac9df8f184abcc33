import pytest
import torch

from spikeproof.attacks.lattice import ThreatModel
from spikeproof.audit.probe import DIRECTIONS, changes, misled
from spikeproof.tests.audit.planted import Planted

THREAT = ThreatModel(epsilon=25 / 255)


@pytest.fixture
def batch():
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(60, 190, (20, 1, 8, 8), generator=draws).float() / 255
    return images, torch.arange(20) % 10


@pytest.fixture
def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)).eval()


def probed(network, mask, batch, keys=None, chosen=None):
    model, keys = Planted(network, mask), torch.arange(20) if keys is None else keys
    chosen = torch.arange(20) if chosen is None else chosen
    images, labels = (part[chosen] for part in batch)
    found = changes(model, images, labels, threat=THREAT, keys=keys[chosen], seed=0)
    return misled(model, images, labels, found=found)


def test_a_sound_gradient_knows_nearly_every_direction(network, batch):
    moving, wrong = probed(network, "sound", batch)
    assert moving.tolist() == [DIRECTIONS] * 20
    assert wrong.mean() / DIRECTIONS < 0.1


@pytest.mark.parametrize(("mask", "least"), [("flipped", 0.35), ("cut", 1.0)])
def test_a_hidden_gradient_knows_little(network, batch, mask, least):
    moving, wrong = probed(network, mask, batch)
    assert wrong.sum() >= least * moving.sum()


def test_directions_that_change_nothing_are_not_counted(network, batch):
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    moving, wrong = probed(network, "sound", batch)
    assert moving.sum() == wrong.sum() == 0


def test_directions_belong_to_the_sample(network, batch):
    moving, wrong = probed(network, "flipped", batch)
    some = torch.tensor([7, 2])
    for found, whole in zip(
        probed(network, "flipped", batch, chosen=some), (moving, wrong), strict=True
    ):
        assert found.tolist() == whole[some.numpy()].tolist()
