from dataclasses import replace

import numpy as np
import pytest
import torch

from spikeproof.audit.config import AuditConfig
from spikeproof.audit.deployed import check_data, data_context, load_deployed
from spikeproof.core.errors import ConfigError, DataError, FormatError, NotEqualError
from spikeproof.core.files import sha256
from spikeproof.datasets.images import ImageData, fingerprint, load
from spikeproof.deploy.bundle import NIR, SUMS
from spikeproof.deploy.deployment import DeployConfig, run
from spikeproof.deploy.finetune import Tuning, recipe
from spikeproof.export.to_nir import to_nir
from spikeproof.sim.graph.file import write_nir
from spikeproof.tests.deploy.networks import DIGITS, random_network
from spikeproof.train.checkpoint import BEST, save


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A training folder and the bundle of its network."""
    folder = tmp_path_factory.mktemp("pair")
    (folder / "run").mkdir()
    return place(folder, random_network())


def place(folder, network):
    save(folder / "run" / BEST, network)
    write_nir(folder / "model.nir", to_nir(network))
    run(DeployConfig(golden=1, bits=6), folder / "model.nir", folder / "bundle")
    return folder / "run", folder / "bundle"


def data_of(count=6, size=8, classes=10, channels=1):
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (count, channels, size, size), dtype=np.uint8)
    labels = np.arange(count, dtype=np.int64) % classes
    return ImageData(
        name="noise",
        train_images=images,
        train_labels=labels,
        test_images=images[:4],
        test_labels=np.array([0, 1, 2, classes - 1]),
        classes=tuple(str(k) for k in range(classes)),
    )


def test_pair_becomes_two_targets(pair):
    deployed = load_deployed(*pair)
    x = torch.from_numpy(data_of().test_images).to(torch.float32) / 255
    ours, theirs = deployed.float_target(x), deployed.hardware_target(x)
    torch.testing.assert_close(ours, random_network()(x), rtol=0, atol=0)
    assert theirs.shape == ours.shape == (4, 10)
    assert (theirs - ours).abs().max() < ours.detach().std()
    assert deployed.float_target.estimators == deployed.hardware_target.estimators


def test_bundle_of_the_same_architecture_but_other_weights_is_refused(pair, tmp_path):
    (tmp_path / "run").mkdir()
    other, _ = place(tmp_path, random_network(seed=1))
    with pytest.raises(DataError, match="expected .* to be made from this checkpoint, got another"):
        load_deployed(other, pair[1])


def test_context_tells_of_bits_by_layer_and_of_fine_tuning(pair, tmp_path):
    folder, bundle = pair
    config = replace(recipe(1, epsilon=0.1, seed=0), batch_size=16, attack_steps=1, holdout=0.25)
    tuning = Tuning(data=load("digits", limit=32), folder=tmp_path / "tuning")
    made = DeployConfig(golden=1, bits=4, layer_bits={"first": 8}, finetune=config)
    run(made, bundle / NIR, tmp_path / "tuned", tuning=tuning)
    context = load_deployed(folder, tmp_path / "tuned").context
    assert (context["bits"], context["layer_bits"]) == (4, {"first": 8})
    assert (context["finetuning"]["epochs"], context["finetuning"]["method"]) == (1, "srstar")


def test_context_tells_both_models_apart(pair):
    folder, bundle = pair
    assert load_deployed(folder, bundle).context == {
        "architecture": "digits-conv",
        "steps": 4,
        "checkpoint_sha256": sha256(folder / BEST),
        "bundle_sha256": sha256(bundle / SUMS),
        "bits": 6,
    }


def test_one_file_of_a_training_is_taken(pair):
    folder, bundle = pair
    assert load_deployed(folder / BEST, bundle).context == load_deployed(folder, bundle).context


def test_rates_are_measured_on_both_sides(pair):
    deployed = load_deployed(*pair)
    x = torch.from_numpy(data_of().test_images).to(torch.float32) / 255
    found = {side: dict(meter(x)) for side, meter in deployed.rates.items()}
    assert [list(rates) for rates in found.values()] == [["spike1", "spike2"]] * 2
    for name, rate in found["float"].items():
        assert 0.05 < rate < 0.95
        assert found["hardware"][name] == pytest.approx(rate, abs=0.1)


def test_data_is_known_by_name_and_hash():
    data = data_of()
    assert data_context(data) == {"data": "noise", "data_sha256": fingerprint(data)}


@pytest.mark.parametrize("change", [{"mean": (79,)}, {"input_shape": (1, 4, 8)}])
def test_bundle_of_another_network_is_refused(pair, tmp_path, change):
    save(tmp_path / "other.safetensors", random_network(replace(DIGITS, **change)))
    with pytest.raises(DataError, match="to be made from this checkpoint, got another"):
        load_deployed(tmp_path / "other.safetensors", pair[1])


def test_changed_bundle_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    folder, bundle = place(tmp_path, random_network())
    (bundle / "model.net").write_bytes(b"other")
    with pytest.raises(NotEqualError, match="expected model.net in"):
        load_deployed(folder, bundle)


@pytest.mark.parametrize("place", [0, 1])
def test_absent_parts_are_refused(pair, tmp_path, place):
    words = list(pair)
    words[place] = tmp_path
    with pytest.raises(FormatError, match=str(tmp_path)):
        load_deployed(*words)


@pytest.mark.parametrize("samples", [None, 1, 4])
def test_data_that_fits_is_taken(pair, samples):
    check_data(load_deployed(*pair), data_of(), AuditConfig(samples=samples))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 7}, r"images of shape \(1, 8, 8\), got .*\(1, 7, 7\) in noise"),
        ({"channels": 3}, r"images of shape \(1, 8, 8\), got .*\(3, 8, 8\) in noise"),
        ({"classes": 12}, "expected labels below 10, got 11 in noise"),
    ],
)
def test_data_of_another_kind_is_refused(pair, changes, message):
    with pytest.raises(DataError, match=message):
        check_data(load_deployed(*pair), data_of(**changes), AuditConfig())


def test_more_samples_than_there_are_is_refused(pair):
    with pytest.raises(ConfigError, match="at most 4 samples of noise, got 5; ask for fewer"):
        check_data(load_deployed(*pair), data_of(), AuditConfig(samples=5))
