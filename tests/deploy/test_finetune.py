"""Hardware-aware fine-tuning: certified, repeatable, resumable, and blind to the test set."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from spikeproof.core.errors import ConfigError, DataError
from spikeproof.core.files import read_json
from spikeproof.core.progress import SILENT
from spikeproof.datasets.images import load
from spikeproof.deploy.bundle import read_bundle
from spikeproof.deploy.certify import certify, require
from spikeproof.deploy.deployment import Calibration, DeployConfig, run
from spikeproof.deploy.finetune import PENALTY_STEP, Tuning, finetune, recipe
from spikeproof.deploy.lower import lower
from spikeproof.deploy.quantize import Precision, quantize
from spikeproof.deploy.scale import SearchConfig
from spikeproof.export.to_nir import to_nir
from spikeproof.sim.classifier import TwinClassifier
from spikeproof.sim.graph.file import write_nir
from spikeproof.sim.graph.meta import read_meta
from spikeproof.tests.deploy.networks import random_network
from spikeproof.train.config import TrainConfig

BITS = 4
CONFIG = replace(
    recipe(2, epsilon=0.1, seed=0),
    batch_size=16,
    attack_steps=1,
    validation_steps=1,
    holdout=0.25,
    learning_rate=0.05,
)


@pytest.fixture(scope="module")
def digits():
    return load("digits", limit=40)


@pytest.fixture(scope="module")
def network():
    graph = to_nir(random_network())
    return lower(graph, read_meta(graph))


def tuned(network, data, folder, *, config=CONFIG, tracker=SILENT, **options):
    precision = Precision(bits=BITS)
    _, scales = quantize(network, precision=precision, factors={})
    how = {"config": config, "precision": precision, "scales": scales, "tracker": tracker}
    return finetune(network, Tuning(data=data, folder=folder, **options), **how)


class Kill:
    """A tracker that ends the work after some steps, as a kill would."""

    def __init__(self, units):
        self.left = units

    @contextmanager
    def task(self, label, total):
        """Counts what is advanced."""
        del label, total
        yield self

    def advance(self, units=1, note=""):
        """Raises when the last step is used up."""
        del note
        self.left -= units
        if self.left <= 0:
            raise KeyboardInterrupt


def same(one, other):
    pairs = zip(one.program.synapses, other.program.synapses, strict=True)
    return all(np.array_equal(a.weight, b.weight) for a, b in pairs)


def test_penalties_step_onto_the_lattice():
    config = recipe(3, epsilon=8 / 255, seed=5)
    assert (config.method, config.penalty_step, config.epochs, config.seed) == (
        "srstar",
        PENALTY_STEP,
        3,
        5,
    )
    assert config.attack_steps * config.attack_step_size == pytest.approx(2.5 * 8 / 255)


def test_methods_without_a_penalty_are_taken_over():
    config = recipe(1, epsilon=0.1, seed=0, base=TrainConfig(method="at", epsilon=0.05))
    assert (config.method, config.epsilon, config.validation_epsilon) == ("at", 0.05, 0.1)


def test_the_result_is_certified_and_differs(network, digits, tmp_path, monkeypatch):
    seen = {"robust": 0.0, "clean": 0.0}
    monkeypatch.setattr("spikeproof.deploy.finetune._validated", lambda *given: seen)
    found = tuned(network, digits, tmp_path / "a")
    plain, _ = quantize(network, precision=Precision(bits=BITS), factors={})
    require(certify(found.program, steps=network.meta.steps))
    assert found.record["kept"] != "the chip before fine-tuning"
    assert any(
        not np.array_equal(a.weight, b.weight)
        for a, b in zip(found.program.synapses, plain.synapses, strict=True)
    )


def test_it_repeats_and_never_looks_at_test_images(network, digits, tmp_path):
    blind = replace(
        digits,
        test_images=np.zeros_like(digits.test_images),
        test_labels=np.zeros_like(digits.test_labels),
    )
    first, second = (
        tuned(network, data, tmp_path / name) for name, data in (("seen", digits), ("blind", blind))
    )
    assert same(first, second)
    assert first.record["epochs"] == second.record["epochs"]


def test_resumed_it_ends_as_uninterrupted(network, digits, tmp_path):
    whole = tuned(network, digits, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        tuned(network, digits, tmp_path / "parts", tracker=Kill(3))
    resumed = tuned(network, digits, tmp_path / "parts", resume=True)
    assert same(whole, resumed)
    assert whole.record["epochs"] == resumed.record["epochs"]


def test_a_chip_that_learns_nothing_good_is_kept_as_it_was(network, digits, tmp_path, monkeypatch):
    seen = {"robust": 1.01, "clean": 1.0}
    monkeypatch.setattr("spikeproof.deploy.finetune._validated", lambda *given: seen)
    found = tuned(network, digits, tmp_path / "a", config=replace(CONFIG, epochs=1))
    plain, _ = quantize(network, precision=Precision(bits=BITS), factors={})
    assert found.record["kept"] == "the chip before fine-tuning"
    for ours, theirs in zip(found.program.synapses, plain.synapses, strict=True):
        np.testing.assert_array_equal(ours.weight, theirs.weight)


def test_a_bundle_says_what_was_done_and_holds_the_fine_tuned_chip(digits, tmp_path):
    write_nir(tmp_path / "model.nir", to_nir(random_network()))
    held = Calibration(images=digits.train_images[:8], labels=digits.train_labels[:8], source="d")
    config = DeployConfig(
        bits=BITS,
        golden=2,
        search=SearchConfig(attack_steps=1, samples=4),
        finetune=replace(CONFIG, epochs=1),
    )
    tuning = Tuning(data=digits, folder=tmp_path / "training")
    run(config, tmp_path / "model.nir", tmp_path / "b", calibration=held, tuning=tuning)
    bundle, report = read_bundle(tmp_path / "b"), read_json(tmp_path / "b" / "chip.json")
    record = bundle.manifest["finetuning"]
    assert record["split"] == {
        "of": "the training part", "seed": 0, "learnt from": 30, "held out": 10
    }  # fmt: skip
    assert (record["config"]["epochs"], record["config"]["penalty_step"]) == (1, PENALTY_STEP)
    assert "seconds" not in record["epochs"][0]
    assert report["finetuning"]["robust_before"] == record["before"]["robust"]
    images = torch.from_numpy(digits.train_images[:2]).float() / 255
    golden = np.load(tmp_path / "b" / "golden.npz")["logits"]
    np.testing.assert_array_equal(TwinClassifier(bundle.program)(images).numpy(), golden)


@pytest.mark.parametrize("changes", [{"holdout": 0.0}, {"select_by": "clean"}])
def test_without_anything_to_choose_by_it_is_refused(network, digits, tmp_path, changes):
    with pytest.raises(ConfigError, match="expected a holdout above 0 and select_by robust"):
        tuned(network, digits, tmp_path / "a", config=replace(CONFIG, **changes))


def test_other_images_are_refused(network, digits, tmp_path):
    cut = replace(
        digits,
        train_images=digits.train_images[..., :7].copy(),
        test_images=digits.test_images[..., :7].copy(),
    )
    with pytest.raises(DataError, match="expected training images of shape"):
        tuned(network, cut, tmp_path / "a")


def test_fine_tuning_without_data_is_refused(tmp_path):
    write_nir(tmp_path / "model.nir", to_nir(random_network()))
    with pytest.raises(ConfigError, match="expected fine-tuning with data to learn from"):
        run(DeployConfig(finetune=CONFIG), tmp_path / "model.nir", tmp_path / "b")
