"""Random crops and mirror images of training batches, on the uint8 lattice.

Both only move pixels, so an augmented image is still a lattice image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from ..core.errors import ConfigError, DataError
from ..core.transfer import send
from .image_data import ImageData

MIRROR_SAFE = ("cifar10", "cifar100", "fashion-mnist")
"""Data sets whose classes survive a mirror; a digit does not."""


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """`padding` pixels on each side before a crop, 0 for none; `flip` mirrors half the images."""

    padding: int = 4
    flip: bool = True

    def __post_init__(self) -> None:
        if self.padding < 0:
            raise ConfigError(f"expected padding >= 0, got {self.padding}; use 0 for no crop")


def default_augmentation(data: ImageData) -> AugmentConfig:
    """The usual choice: an eighth of the height as padding (4 of 32), a flip where it is safe.

    Safe are `MIRROR_SAFE` and files named after one, such as `cifar10-subset.npz`.
    """
    height = data.image_shape[1]
    is_safe = any(data.name == kind or data.name.startswith(f"{kind}-") for kind in MIRROR_SAFE)
    return AugmentConfig(padding=height // 8, flip=is_safe)


def augment(
    images: UInt8[Tensor, "N C H W"],
    *,
    mean: Sequence[int],
    config: AugmentConfig,
    generator: torch.Generator,
) -> UInt8[Tensor, "N C H W"]:
    """Crops each image at its own random place of the padded image, and mirrors some.

    The border has the lattice mean of each channel, so that it is zero after normalisation, the
    same as a convolution's zero padding.

    Args:
        images: A batch on any device.
        mean: `lattice_mean` of the training images, one integer 0..255 a channel.
        config: How far, and whether to mirror.
        generator: Where the randomness comes from; a CPU generator gives the same draws for images
            on any device.

    Returns:
        A new batch of the same shape.

    Raises:
        DataError: If `mean` does not fit the channels.
    """
    count, channels, height, width = images.shape
    if len(mean) != channels or not all(0 <= value <= 255 for value in mean):
        raise DataError(f"expected {channels} means in 0..255, got {tuple(mean)}; use lattice_mean")
    padded = _pad(images, mean, config.padding)
    rows = _offsets(count, config, generator)[:, None] + torch.arange(height)
    columns = _columns(count, width, config, generator)
    columns = columns + _offsets(count, config, generator)[:, None]
    device = images.device
    return padded[
        torch.arange(count, device=device)[:, None, None, None],
        torch.arange(channels, device=device)[None, :, None, None],
        send(rows, device)[:, None, :, None],
        send(columns, device)[:, None, None, :],
    ]


def _pad(
    images: UInt8[Tensor, "N C H W"], mean: Sequence[int], padding: int
) -> UInt8[Tensor, "N C H2 W2"]:
    count, _, height, width = images.shape
    border = torch.tensor(mean, dtype=images.dtype, device=images.device)[None, :, None, None]
    padded = border.repeat(count, 1, height + 2 * padding, width + 2 * padding)
    padded[:, :, padding : padding + height, padding : padding + width] = images
    return padded


def _offsets(count: int, config: AugmentConfig, generator: torch.Generator) -> Int64[Tensor, " N"]:
    """Where each crop begins, 0..2·padding, on the CPU."""
    high = 2 * config.padding + 1
    return torch.randint(high, (count,), generator=generator, device=generator.device).cpu()


def _columns(
    count: int, width: int, config: AugmentConfig, generator: torch.Generator
) -> Int64[Tensor, "N W"]:
    """The order in which each image's columns are read: backwards where it is mirrored."""
    forward = torch.arange(width).expand(count, width)
    if not config.flip:
        return forward
    draws = torch.rand(count, generator=generator, device=generator.device).cpu()
    mirrored: Bool[Tensor, "N 1"] = (draws < 0.5)[:, None]
    return torch.where(mirrored, forward.flip(1), forward)
