"""Wide residual networks all the way: trained layers, exported, deployed, run."""

import numpy as np
import pytest
import torch

from spikeproof.core.files import read_json
from spikeproof.deploy.bundle import read_bundle
from spikeproof.deploy.deployment import DeployConfig, run
from spikeproof.deploy.executors import load_float, run_float, run_twin
from spikeproof.deploy.verification import verify_bundle
from spikeproof.export.verify import export_network
from spikeproof.sim.classifier import TwinClassifier
from spikeproof.tests.deploy.lavas_clock import assert_twin_equals, on_lavas_clock
from spikeproof.tests.train.residual import FULL, SMALL, random_images, random_wide_resnet


def deployed(folder, config, samples=2):
    """A bundle of a wide residual network with random weights."""
    network = random_wide_resnet(config, samples=samples)
    export_network(network, folder / "model.nir", images=random_images(config, samples))
    run(DeployConfig(golden=samples), folder / "model.nir", folder / "bundle")
    return read_bundle(folder / "bundle")


def require_close(bundle, config, samples):
    """Rates of every layer, and logits against their spread.

    Trains themselves drift apart with depth: a spike that rounding flips flips others behind it.
    """
    images = random_images(config, samples, seed=9).numpy()
    ours = run_twin(bundle.program, images)
    theirs = run_float(load_float(bundle.nir, bundle.metadata), {"images": images})
    agreement = {n: float((s == ours.spikes[n]).mean()) for n, s in theirs.spikes.items()}
    for name, spikes in theirs.spikes.items():
        rate = float(spikes.mean())
        assert abs(rate - float(ours.spikes[name].mean())) < 0.02, name
        assert agreement[name] > rate**2 + (1 - rate) ** 2, f"{name} agrees by chance"
    assert min(list(agreement.values())[:3]) > 0.9
    error = np.abs(ours.logits - theirs.logits).mean() / theirs.logits.std()
    assert error < 0.2


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return deployed(tmp_path_factory.mktemp("wrn"), SMALL)


def test_small_network_fires_in_every_population(bundle):
    rates = TwinClassifier(bundle.program).rates(random_images(SMALL, 4) / 255)
    assert len([name for name in rates if "relay" not in name]) == 9
    assert min(rates.values()) > 0.02


def test_small_network_on_the_chip_is_close_to_float(bundle):
    require_close(bundle, SMALL, 8)


def test_small_network_equals_a_slow_loop_on_lavas_clock(bundle):
    images = random_images(SMALL, 2, seed=5) / 255
    expected = on_lavas_clock(bundle.program, TwinClassifier(bundle.program).payload(images))
    assert_twin_equals(expected, bundle.program, images)


def test_current_kept_over_two_blocks_reaches_each_population_by_its_own_weights(bundle):
    sources = [s.source for s in bundle.program.into("block2_1_spike1")]
    assert sorted(sources) == [
        "block1_1_spike1_relay3",
        "block1_1_spike2_relay2",
        "block1_2_spike2",
    ]
    assert bundle.program.unlevelled() == []


@pytest.mark.slow
def test_wrn16_4_deploys_fires_everywhere_and_is_close_to_float(tmp_path):
    bundle = deployed(tmp_path, FULL)
    with torch.no_grad():
        rates = TwinClassifier(bundle.program).rates(random_images(FULL, 2) / 255)
    assert len([name for name in rates if "relay" not in name]) == 13
    assert min(rates.values()) > 0.01
    require_close(bundle, FULL, 2)
    report = read_json(bundle.path / "chip.json")
    assert all(row["certificate"]["u_never_wraps"] for row in report["populations"])


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.timeout(3600)
def test_wrn16_4_equals_lava_in_every_spike_and_logit(tmp_path):
    checks = {check.name: check for check in verify_bundle(deployed(tmp_path, FULL).path)}
    assert checks["lava"].detail == "2 golden samples, every spike and logit equal"
