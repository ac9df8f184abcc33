import numpy as np
import pytest

from spikeproof.core.errors import ConfigError, DataError
from spikeproof.deploy.samples import lattice_samples, read_samples, sample_arrays
from spikeproof.sim.interface import Encoding
from spikeproof.tests.deploy.networks import lattice_images
from spikeproof.tests.sim.programs import classifier

STEPS = 6


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


@pytest.fixture
def program():
    """A classifier that takes six frames."""
    return classifier(encoding=Encoding(offset=(0, 0), steps=STEPS, kind="frames"))


def frames(rng, dtype=np.uint8):
    return rng.integers(0, 200, (STEPS, 3, 2, 4, 4), endpoint=True).astype(dtype)


def test_frames_become_stacks_frame_by_frame(program, rng):
    given = frames(rng)
    found = lattice_samples(program, {"frames": given.astype(np.float32)})
    assert (found.shape, found.dtype) == ((3, 12, 4, 4), np.uint8)
    for t in range(STEPS):
        np.testing.assert_array_equal(found[:, 2 * t : 2 * t + 2], given[t])


def test_samples_survive_a_file(program, rng, tmp_path):
    stacks = lattice_samples(program, {"frames": frames(rng)})
    path = save(tmp_path / "in.npz", **sample_arrays(program, stacks))
    np.testing.assert_array_equal(lattice_samples(program, read_samples(path)), stacks)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[1:], "expected 6 frames a sample, got 5"),
        (lambda x: x + 0.5, "expected frames of whole numbers 0..200, got .* or fractions"),
        (lambda x: x.astype(int) + 100, "expected frames of whole numbers 0..200"),
        (lambda x: x.astype(int) - 300, "expected frames of whole numbers 0..200"),
    ],
)
def test_frames_that_a_chip_cannot_take_are_refused(program, rng, change, message):
    with pytest.raises(DataError, match=message):
        lattice_samples(program, {"frames": change(frames(rng))})


def test_the_other_kind_of_samples_is_refused(program, rng):
    with pytest.raises(ConfigError, match="expected images for this network, got frames"):
        lattice_samples(classifier(), {"frames": frames(rng)})
    with pytest.raises(ConfigError, match="expected frames for this network, got images"):
        lattice_samples(program, {"images": np.zeros((1, 2, 4, 4), np.uint8)})
