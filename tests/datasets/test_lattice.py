"""Channel statistics on the uint8 lattice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeproof.core.errors import DataError
from spikeproof.datasets import lattice
from spikeproof.datasets.lattice import channel_std, lattice_mean


@given(seed=st.integers(0, 1000), shape=st.tuples(*[st.integers(1, 6)] * 4))
def test_statistics_are_those_of_numpy(seed, shape):
    images = np.random.default_rng(seed).integers(0, 256, (*shape[:3], shape[3] + 1), np.uint8)
    images[..., 0], images[..., 1] = 0, 255
    mean = images.mean((0, 2, 3))
    assert lattice_mean(images) == tuple(np.floor(mean + 0.5).astype(int).tolist())
    np.testing.assert_allclose(channel_std(images), images.std((0, 2, 3)), rtol=1e-12)


def test_statistics_do_not_depend_on_the_chunk(monkeypatch, rng):
    images = rng.integers(0, 256, (23, 3, 4, 4), np.uint8)
    whole = lattice_mean(images), channel_std(images)
    monkeypatch.setattr(lattice, "CHUNK_IMAGES", 5)
    assert (lattice_mean(images), channel_std(images)) == whole


def test_lattice_mean_rounds_a_half_up():
    images = np.array([1, 2], np.uint8).reshape(1, 1, 1, 2)
    assert lattice_mean(images) == (2,)


def test_channel_std_is_in_lattice_steps():
    images = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1)
    assert channel_std(images) == (127.5,)


def test_channel_std_refuses_a_constant_channel(rng):
    images = rng.integers(0, 256, (4, 2, 3, 3), np.uint8)
    images[:, 1] = 7
    with pytest.raises(DataError, match="expected channel 1 to vary, got 7 in every pixel"):
        channel_std(images)


@pytest.mark.parametrize("statistic", [lattice_mean, channel_std])
def test_statistics_refuse_no_images(statistic):
    with pytest.raises(DataError, match="expected images, got none"):
        statistic(np.zeros((0, 3, 4, 4), np.uint8))
