"""The npz file of images or frames that a whole network is run on."""

from pathlib import Path

import numpy as np

from ..core.axes import images_to_maps
from ..core.errors import ConfigError, DataError
from ..sim.arrays import read_arrays


def read_samples(path: Path) -> dict[str, np.ndarray]:
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


def require_images(samples: dict[str, np.ndarray]) -> np.ndarray:
    """The images among the samples.

    Raises:
        ConfigError: If there are frames instead.
    """
    if "images" not in samples:
        raise ConfigError("expected images for a bundle, got frames; bundles take images")
    return samples["images"]
