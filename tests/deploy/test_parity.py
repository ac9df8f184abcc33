import json

import numpy as np
import pytest

from spikeproof.core.errors import ConfigError, DataError, MissingAbilityError
from spikeproof.deploy.bundle import read_bundle, seal
from spikeproof.deploy.parity import check_parity, parity_images
from spikeproof.sim.arrays import read_arrays
from spikeproof.sim.oracle import run as lava
from spikeproof.tests.deploy.networks import (
    SHAPE,
    add_to,
    dense_graph,
    deploy_lattice,
    lattice_images,
    leaky,
)


@pytest.fixture
def bundle(sealed):
    return read_bundle(sealed)


def test_golden_images_come_first_then_noise(bundle):
    images = parity_images(bundle, samples=5, seed=0)
    golden = read_arrays(bundle.path / "golden.npz")["images"].transpose(0, 3, 1, 2)
    assert images.shape == (5, *SHAPE)
    np.testing.assert_array_equal(images[:3], golden)
    assert images[3:].std() > 60


def test_noise_depends_on_the_seed(bundle):
    first, again, other = (parity_images(bundle, samples=4, seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first[3] != other[3]).any()


def test_fewer_samples_than_golden_ones(bundle):
    assert len(parity_images(bundle, samples=2, seed=0)) == 2


def test_no_sample_is_refused(bundle):
    with pytest.raises(ConfigError, match="expected at least 1 sample, got 0"):
        parity_images(bundle, samples=0, seed=0)


def test_images_that_do_not_fit_are_refused(bundle):
    with pytest.raises(DataError, match=r"images of shape \(2, 6, 5\), got uint8 \[1, 2, 5, 5\]"):
        check_parity(bundle, np.zeros((1, 2, 5, 5), np.uint8))


def test_parity_without_lava_says_how_to_get_it(bundle, monkeypatch):
    monkeypatch.setattr(lava, "_installed", lambda name: "")
    with pytest.raises(MissingAbilityError, match="lava-nc and lava-dl not installed"):
        check_parity(bundle, lattice_images(1))


@pytest.mark.lava
@pytest.mark.parametrize(
    "options",
    [{}, {"neuron": leaky, "bits": 5}, {"graph": dense_graph()}],
    ids=["if", "lif", "dense first"],
)
def test_deployed_network_equals_lava(tmp_path, options):
    bundle = read_bundle(deploy_lattice(tmp_path, **options))
    report = check_parity(bundle, parity_images(bundle, samples=4, seed=0), timeout=200.0)
    assert (report.differences, report.first) == (0, None)
    neurons = sum(p.size for p in bundle.program.populations)
    assert report.values == 3 * 4 * 6 * neurons
    assert report.spikes > 20
    json.dumps(report.to_json())


@pytest.mark.lava
def test_corrupted_net_file_gives_a_first_difference(tmp_path):
    folder = deploy_lattice(tmp_path)
    add_to(folder / "model.net", "layer/2/neuron/vThMant", 1)
    seal(folder)
    report = check_parity(read_bundle(folder), lattice_images(4), timeout=200.0)
    first = report.first
    assert not report.is_equal
    assert first is not None
    assert (first.layer, first.quantity) == ("fire2", "spike")
    assert first.values == (1, 0)
    assert 1 <= first.step <= 6
    assert len(first.neuron) == 3
    assert "of layer 'fire2', sample " in str(first)
    assert "twin 1, Lava 0" in str(first)
