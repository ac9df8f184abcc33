"""Training on recordings of an event camera."""

import pytest

from spikeproof.core.errors import ConfigError
from spikeproof.datasets.images import load
from spikeproof.train.checkpoint import load as load_network
from spikeproof.train.config import change
from spikeproof.train.loop import run
from spikeproof.train.presets import preset


@pytest.fixture
def recordings(shared, tmp_path, monkeypatch):
    """N-MNIST's first 60 training and 20 test recordings, in frames of 16x16."""
    monkeypatch.setenv("SPIKEPROOF_CACHE", str(tmp_path / "cache"))
    recipe = small("vanilla")
    return load(f"nmnist:{shared}/data/NMNIST", limit=60, frames=recipe.network.frames)


def small(method):
    quick = {"epochs": 2, "steps": 3, "frame_size": 16, "widths": "4,6", "validation_steps": 1}
    return change(preset(f"nmnist-{method}"), quick)


def test_recordings_become_stacks(recordings):
    assert (recordings.steps, recordings.image_shape) == (3, (2, 16, 16))
    assert recordings.train_images.shape == (60, 6, 16, 16)
    assert recordings.test_images.shape == (50, 6, 16, 16)
    assert recordings.train_images.sum() > 60 * 1000


@pytest.mark.parametrize("method", ["vanilla", "srstar"])
def test_every_part_of_training_takes_stacks(recordings, tmp_path, method):
    recipe = small(method)
    result = run(recipe.train, recipe.network.network(recordings), recordings, tmp_path / "out")
    losses = [entry["loss"] for entry in result.metrics]
    assert losses[1] < losses[0]
    config = load_network(tmp_path / "out").config
    assert config.frames == recipe.network.frames
    assert config.sample_shape == (6, 16, 16)


def test_presets_for_images_refuse_recordings(recordings):
    with pytest.raises(
        ConfigError, match="expected encoding 'frames' for the recordings of nmnist"
    ):
        preset("mnist-at-small").network.network(recordings)


def test_recordings_of_other_frames_are_refused(recordings, tmp_path):
    recipe = small("vanilla")
    network = change(recipe, {"steps": 2}).network.network(recordings)
    with pytest.raises(ConfigError, match=r"expected a network for samples \(6, 16, 16\)"):
        run(recipe.train, network, recordings, tmp_path / "out")
