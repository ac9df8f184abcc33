import numpy as np
import pytest

from spikeproof.core.errors import ConfigError, DataError
from spikeproof.deploy.samples import read_samples, require_images
from spikeproof.tests.deploy.networks import lattice_images


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_images_are_read_as_maps(tmp_path):
    images = lattice_images(3)
    path = save(tmp_path / "in.npz", images=images.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(read_samples(path)["images"], images)


def test_frames_are_read_as_they_are(tmp_path, rng):
    frames = rng.normal(size=(4, 2, 1, 3, 3))
    assert list(read_samples(save(tmp_path / "in.npz", frames=frames))) == ["frames"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((2, 6, 5, 2))}, r"images uint8 \[N, H, W, C\] in .*, got float64"),
        ({"images": np.zeros((6, 5, 2), np.uint8)}, r"got uint8 \[6, 5, 2\]; convert them"),
        ({"images": np.zeros((0, 6, 5, 2), np.uint8)}, r"got uint8 \[0, 6, 5, 2\]"),
        ({"frames": np.zeros((2, 6, 5, 2))}, r"finite frames \[T, N, C, H, W\] in .*, got float64"),
        ({"frames": np.full((1, 1, 1, 1, 1), np.nan)}, "expected finite frames"),
        ({"frames": np.zeros((1, 1, 1, 1, 1), np.complex64)}, "got complex64"),
        ({"other": np.zeros(1), "b": np.zeros(1)}, "expected images or frames in .*, got other, b"),
        ({}, "expected images or frames in .*, got nothing"),
        (
            {"images": np.zeros((1, 6, 5, 2), np.uint8), "frames": np.zeros((6, 1, 2, 6, 5))},
            "expected images or frames in .*, got both; leave one of them out",
        ),
    ],
)
def test_other_samples_are_refused(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        read_samples(save(tmp_path / "in.npz", **arrays))


def test_frames_for_a_bundle_are_refused():
    with pytest.raises(ConfigError, match="expected images for a bundle, got frames"):
        require_images({"frames": np.zeros(1)})
