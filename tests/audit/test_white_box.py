"""The attack through the twin bites: measured on the demo's vanilla network."""

from dataclasses import replace

import pytest
import torch

from spikeproof.attacks.lattice import ThreatModel
from spikeproof.attacks.suite import attack_named
from spikeproof.audit.deployed import load_deployed
from spikeproof.core.decision import predictions
from spikeproof.datasets.images import load
from spikeproof.deploy.deployment import DeployConfig
from spikeproof.deploy.deployment import run as deploy
from spikeproof.export.verify import export_network
from spikeproof.train.checkpoint import load as load_checkpoint
from spikeproof.train.loop import run as train
from spikeproof.train.presets import preset

DEMO_EPSILON = 0.1
SAMPLES = 120


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.fixture(scope="module")
def chip(digits, tmp_path_factory):
    """The integers of the vanilla network that `demo` trains."""
    folder = tmp_path_factory.mktemp("vanilla")
    recipe = preset("digits-vanilla")
    train(recipe.train, recipe.network.network(digits), digits, folder / "run")
    images = torch.from_numpy(digits.train_images[:16])
    export_network(load_checkpoint(folder / "run"), folder / "model.nir", images=images)
    deploy(DeployConfig(golden=1), folder / "model.nir", folder / "bundle")
    return load_deployed(folder / "run", folder / "bundle").hardware_target


def accuracy_left(chip, digits, name, *, epsilon):
    """Share of the first test samples right clean and under an attack crafted on the chip."""
    images = torch.from_numpy(digits.test_images[:SAMPLES]).to(torch.float32) / 255
    labels = torch.from_numpy(digits.test_labels[:SAMPLES])
    attack = attack_named(name)
    if attack.takes_gradients:
        attack = replace(attack, estimator="triangle")
    found = attack(
        chip,
        images,
        labels,
        threat=ThreatModel(epsilon=epsilon),
        keys=torch.arange(SAMPLES),
        seed=0,
    )
    with torch.no_grad():
        right = predictions(chip(images)) == labels
    return float((right & ~found.fooled_any).double().mean())


def test_pgd_on_the_twin_is_far_stronger_than_noise_of_its_size(chip, digits):
    noise = accuracy_left(chip, digits, "noise", epsilon=DEMO_EPSILON)
    assert accuracy_left(chip, digits, "pgd10-scaled", epsilon=DEMO_EPSILON) <= noise - 0.2


def test_pgd_on_the_twin_leaves_nothing_at_a_large_epsilon(chip, digits):
    assert accuracy_left(chip, digits, "pgd10-scaled", epsilon=1.0) == 0.0
