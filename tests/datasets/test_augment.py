"""Random crops and mirrors."""

import numpy as np
import pytest
import torch

from spikeproof.core.errors import ConfigError, DataError
from spikeproof.datasets.augment import AugmentConfig, augment, default_augmentation
from spikeproof.datasets.image_data import ImageData

MEAN = (7, 200)


@pytest.fixture
def images() -> torch.Tensor:
    draws = np.random.default_rng(5).integers(0, 256, (64, 2, 6, 5), np.uint8)
    return torch.from_numpy(draws)


def run(images: torch.Tensor, seed: int = 0, **options) -> torch.Tensor:
    config = AugmentConfig(**options)
    generator = torch.Generator().manual_seed(seed)
    return augment(images, mean=MEAN, config=config, generator=generator)


def crops(image: torch.Tensor, padding: int) -> set[bytes]:
    """Every crop of the image inside a border of the mean."""
    _, height, width = image.shape
    padded = torch.tensor(MEAN, dtype=torch.uint8)[:, None, None].repeat(
        1, height + 2 * padding, width + 2 * padding
    )
    padded[:, padding : padding + height, padding : padding + width] = image
    return {
        padded[:, row : row + height, column : column + width].numpy().tobytes()
        for row in range(2 * padding + 1)
        for column in range(2 * padding + 1)
    }


def test_augment_gives_crops_of_the_padded_image(images):
    for image, result in zip(images, run(images, padding=2, flip=False), strict=True):
        assert result.numpy().tobytes() in crops(image, 2)


def test_augment_gives_crops_of_the_mirrored_image(images):
    for image, result in zip(images, run(images, padding=2, flip=True), strict=True):
        assert result.numpy().tobytes() in crops(image, 2) | crops(image.flip(2), 2)


def test_augment_reaches_every_crop(images):
    same = images[:1].expand(2000, -1, -1, -1).contiguous()
    found = {result.numpy().tobytes() for result in run(same, padding=2, flip=True)}
    assert found == crops(images[0], 2) | crops(images[0].flip(2), 2)


def test_augment_mirrors_about_half(images):
    same = images[:1].expand(2000, -1, -1, -1).contiguous()
    mirrored = (run(same, padding=0) == images[0].flip(2)).flatten(1).all(1)
    assert 900 < int(mirrored.sum()) < 1100


def test_augment_without_padding_and_flip_changes_nothing(images):
    assert torch.equal(run(images, padding=0, flip=False), images)


def test_augment_depends_on_the_generator_alone(images):
    before = images.clone()
    assert torch.equal(run(images, 1), run(images, 1))
    assert not torch.equal(run(images, 1), run(images, 2))
    assert torch.equal(images, before)


def test_augment_border_is_zero_after_subtracting_the_mean(images):
    corner = run(images, padding=20, flip=False).int() - torch.tensor(MEAN)[:, None, None]
    untouched = (corner == 0).flatten(1).all(1)
    assert untouched.any()


@pytest.mark.gpu
def test_augment_on_a_gpu_gives_what_the_cpu_gives(images):
    assert torch.equal(run(images.cuda(), 3).cpu(), run(images, 3))


@pytest.mark.parametrize("mean", [(1,), (1, 2, 3), (1, 256), (-1, 0)])
def test_augment_refuses_a_mean_that_does_not_fit(images, mean):
    with pytest.raises(DataError, match=r"expected 2 means in 0..255, got"):
        augment(images, mean=mean, config=AugmentConfig(), generator=torch.Generator())


def test_augment_config_refuses_negative_padding():
    with pytest.raises(ConfigError, match="expected padding >= 0, got -1"):
        AugmentConfig(padding=-1)


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("cifar10", 32, AugmentConfig(padding=4, flip=True)),
        ("cifar100-subset", 32, AugmentConfig(padding=4, flip=True)),
        ("fashion-mnist", 28, AugmentConfig(padding=3, flip=True)),
        ("mnist", 28, AugmentConfig(padding=3, flip=False)),
        ("digits", 8, AugmentConfig(padding=1, flip=False)),
        ("signs", 4, AugmentConfig(padding=0, flip=False)),
    ],
)
def test_default_augmentation_flips_only_what_survives_it(name, size, expected):
    images, labels = np.zeros((1, 1, size, size), np.uint8), np.zeros(1, np.int64)
    data = ImageData(
        name=name,
        train_images=images,
        train_labels=labels,
        test_images=images,
        test_labels=labels,
        classes=("only",),
    )
    assert default_augmentation(data) == expected
