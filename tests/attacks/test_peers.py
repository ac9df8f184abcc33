"""Robust accuracy of an ordinary network under our attacks and under torchattacks', same budget."""

from statistics import mean

import pytest
import torch
from torch import nn

from spikeproof.attacks.apgd import APGD
from spikeproof.attacks.lattice import ThreatModel
from spikeproof.attacks.square import Square
from spikeproof.attacks.target import FunctionTarget
from spikeproof.core.decision import predictions
from spikeproof.datasets.images import load

SAMPLES = 200
WITHIN = 0.01
"""A point. Starts at random move either side by as much, so means over seeds are compared."""
SEEDS = (0, 1)


@pytest.fixture(scope="module")
def peers():
    try:
        import torchattacks  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        pytest.skip(f"NOT TESTED: expected torchattacks, got {error}; pip install torchattacks")
    return torchattacks


@pytest.fixture(scope="module")
def network():
    """A small convolutional network on digits."""
    torch.manual_seed(0)
    data = load("digits")
    images = torch.from_numpy(data.train_images).to(torch.float32) / 255
    labels = torch.from_numpy(data.train_labels)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def batch():
    data = load("digits")
    images = torch.from_numpy(data.test_images[:SAMPLES]).to(torch.float32) / 255
    return images, torch.from_numpy(data.test_labels[:SAMPLES])


CASES = {
    "apgd-ce": (APGD(name="a", steps=50), "APGD", {"steps": 50, "loss": "ce"}),
    "apgd-dlr": (APGD(name="a", steps=50, loss="dlr"), "APGD", {"steps": 50, "loss": "dlr"}),
    "square": (Square(name="s", steps=1000), "Square", {"n_queries": 1000}),
}
BALLS = {"linf": ("Linf", 0.1), "l2": ("L2", 0.8)}
"""By our name of the norm: theirs, and epsilon."""


def reaching_the_edge(peer):
    """Repairs their squares, which never reach the last row and column: a quarter of 8x8 pixels."""

    def random_int(low=0, high=1, shape=(1,)):
        return (low + (high + 1 - low) * torch.rand(shape)).long()

    peer.random_int = random_int
    return peer


@pytest.mark.slow
@pytest.mark.parametrize("norm", BALLS)
@pytest.mark.parametrize("case", CASES)
def test_robust_accuracy_is_that_of_torchattacks(peers, network, batch, case, norm):
    (images, labels), (ours, name, options), (theirs, epsilon) = batch, CASES[case], BALLS[norm]
    threat = ThreatModel(epsilon=epsilon, norm=norm, lattice=False)
    target, keys = FunctionTarget(network, name="digits"), torch.arange(SAMPLES)
    right = predictions(network(images)) == labels
    left, theirs_left = [], []
    for seed in SEEDS:
        found = ours(target, images, labels, threat=threat, keys=keys, seed=seed)
        peer = getattr(peers, name)(network, norm=theirs, eps=epsilon, seed=seed, **options)
        broken = predictions(network(reaching_the_edge(peer)(images, labels))) != labels
        left.append((right & ~found.fooled_any).double().mean().item())
        theirs_left.append((right & ~broken).double().mean().item())
    assert 0.05 < mean(left) < 0.9
    assert mean(left) == pytest.approx(mean(theirs_left), abs=WITHIN)
