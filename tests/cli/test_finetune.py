"""Fine-tuning on the chip, and training further, from the command line."""

import pytest
import torch

from spikeproof.audit.deployed import load_deployed
from spikeproof.deploy.bundle import read_bundle
from spikeproof.train.checkpoint import load

LIGHT = ("--set", "attack_steps=1", "--set", "validation_steps=1", "--set", "batch_size=16")


@pytest.fixture(scope="module")
def tuning(files):
    """Words of a quick fine-tuning."""
    words = ("deploy", files / "digits.nir", "--data", "digits", "--limit", 40, "--finetune", 1)
    return (*words, *LIGHT, "--epsilon", "0.1", "--bits", "first=8,*=4")


@pytest.fixture(scope="module")
def further():
    """Words of a quick training of the network that the files hold."""
    shape = {"widths": "3,4", "steps": "4", "epochs": "1", "learning_rate": "0.001"}
    settings = [word for key, value in shape.items() for word in ("--set", f"{key}={value}")]
    words = ("train", "--preset", "digits-srstar", "--data", "digits", "--limit", 40)
    return (*words, "--device", "cpu", *LIGHT, *settings)


@pytest.mark.lava
def test_a_fine_tuned_bundle_verifies_and_pairs_with_its_checkpoint(
    spikeproof, files, tuning, tmp_path
):
    done = spikeproof(*tuning, "--out", tmp_path / "b", "--json")
    assert done.code == 0, done.err
    assert done.json["finetuning"]["epochs"] == 1
    manifest = read_bundle(tmp_path / "b").manifest
    assert (manifest["config"]["bits"], manifest["config"]["layer_bits"]) == (4, {"first": 8})
    assert "held out of fine-tuning: 4 images" in manifest["calibration"]
    assert (tmp_path / "b-finetune" / "best.safetensors").is_file()
    assert spikeproof("verify", tmp_path / "b").code == 0
    deployed = load_deployed(files / "digits.safetensors", tmp_path / "b")
    assert list(deployed.stages) == ["fold", "weights", "thresholds"]


def test_a_second_fine_tuning_needs_resume(spikeproof, tuning, tmp_path):
    words = (*tuning, "--out", tmp_path / "b")
    first = spikeproof(*words)
    assert "fine-tuned 1 epochs by srstar: robust on held-out" in first.out
    again = spikeproof(*words)
    assert again.code == 2
    assert "resume it, remove it or choose another folder" in again.err
    assert spikeproof(*words, "--resume").code == 0


def test_training_goes_on_from_a_checkpoint(spikeproof, files, further, tmp_path):
    done = spikeproof(*further, "--init", files / "digits.safetensors", "--out", tmp_path / "t")
    assert done.code == 0, done.err
    before = load(files / "digits.safetensors").state_dict()
    after = load(tmp_path / "t").state_dict()
    weights = [name for name in before if name.endswith("weight")]
    assert all(torch.allclose(before[n], after[n], atol=0.1) for n in weights)
    assert not all(torch.equal(before[n], after[n]) for n in weights)


def test_training_another_network_further_is_refused(spikeproof, files, further, tmp_path):
    words = (*further, "--set", "steps=5", "--init", files / "digits.safetensors")
    done = spikeproof(*words, "--out", tmp_path / "t")
    assert done.code == 2
    assert "got another steps 5 (it has 4); choose its preset" in done.err
