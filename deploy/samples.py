"""The npz file of images or frames that a whole network is run on."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from ..core.axes import images_to_maps, stacks_to_train, train_to_stacks
from ..core.errors import ConfigError, DataError
from ..sim.arrays import read_arrays
from ..sim.program import Program

Samples = dict[str, np.ndarray]
"""`images` `[N, C, H, W]` or `frames` `[T, N, C, H, W]`."""


def read_samples(path: Path) -> Samples:
    """Reads `images` uint8 `[N, H, W, C]` or `frames` `[T, N, C, H, W]`.

    Raises:
        DataError: If neither or both are there, or the type or shape is wrong.
    """
    arrays = read_arrays(path)
    if "images" in arrays and "frames" in arrays:
        raise DataError(f"expected images or frames in {path}, got both; leave one of them out")
    if "images" in arrays:
        images = arrays["images"]
        if images.dtype != np.uint8 or images.ndim != 4 or images.size == 0:
            raise DataError(
                f"expected images uint8 [N, H, W, C] in {path}, got {images.dtype} "
                f"{list(images.shape)}; convert them"
            )
        return {"images": images_to_maps(images)}
    if "frames" not in arrays:
        raise DataError(
            f"expected images or frames in {path}, got {', '.join(arrays) or 'nothing'}; name the "
            f"array"
        )
    frames = arrays["frames"]
    if frames.dtype.kind not in "iuf" or frames.ndim != 5 or not np.isfinite(frames).all():
        raise DataError(
            f"expected finite frames [T, N, C, H, W] in {path}, got {frames.dtype} "
            f"{list(frames.shape)}; convert them"
        )
    return {"frames": frames}


def kind_of(program: Program) -> str:
    """What a deployed network takes: `images` or `frames`."""
    encoding = program.encoding
    return "frames" if encoding is not None and encoding.kind == "frames" else "images"


def lattice_samples(program: Program, samples: Samples) -> UInt8[np.ndarray, "N channels H W"]:
    """Images, or frames as stacks `[N, T·C, H, W]`, as a deployed network takes them.

    Raises:
        ConfigError: If it takes the other kind.
        DataError: If frames are not T, or hold anything but whole numbers up to its cap.
    """
    wanted = kind_of(program)
    if wanted not in samples:
        raise ConfigError(
            f"expected {wanted} for this network, got {next(iter(samples))}; it was trained on "
            f"{wanted}"
        )
    if wanted == "images":
        return samples["images"]
    train, encoding = samples["frames"], program.encoding
    assert encoding is not None
    if len(train) != encoding.steps:
        raise DataError(
            f"expected {encoding.steps} frames a sample, got {len(train)}; bin the recordings into "
            f"as many"
        )
    whole, most = train.astype(np.uint8), program.peak
    if train.size and (train.min() < 0 or train.max() > most or (whole != train).any()):
        raise DataError(
            f"expected frames of whole numbers 0..{most}, got {train.min()}..{train.max()} or "
            f"fractions; count events"
        )
    return train_to_stacks(whole)


def lattice_noise(
    program: Program, count: int, draw: np.random.Generator
) -> UInt8[np.ndarray, "N channels H W"]:
    """Uniform noise over all that a deployed network takes, as `lattice_samples`."""
    shape = (count, *program.sample_shape)
    return draw.integers(0, program.peak, shape, dtype=np.uint8, endpoint=True)


def named_samples(program: Program, stacks: UInt8[np.ndarray, "N channels H W"]) -> Samples:
    """What `lattice_samples` takes: images, or frames as a train."""
    encoding = program.encoding
    if kind_of(program) == "images" or encoding is None:
        return {"images": stacks}
    return {"frames": stacks_to_train(torch.from_numpy(stacks), encoding.steps).numpy()}


def sample_arrays(
    program: Program, stacks: UInt8[np.ndarray, "N channels H W"]
) -> dict[str, np.ndarray]:
    """As `read_samples` finds them in a file: `images` `[N, H, W, C]`, or `frames`."""
    found = named_samples(program, stacks)
    return {"images": stacks.transpose(0, 2, 3, 1)} if "images" in found else found
