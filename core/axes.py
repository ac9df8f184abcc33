"""Where another library's axis order becomes ours, and nowhere else.

Ours: `[T, N, C, H, W]` for trains, `[N, C, H, W]` for images and for stacks of frames. Files of
images hold `[N, H, W, C]`; Lava holds maps as `(W, H, C)` and puts time last.
"""

import numpy as np
from jaxtyping import Shaped
from torch import Tensor


def images_to_maps(
    images: Shaped[np.ndarray, "N H W C"],
) -> Shaped[np.ndarray, "N C H W"]:
    """Image files' `[N, H, W, C]` to `[N, C, H, W]`."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def frames_to_stacks(
    frames: Shaped[np.ndarray, "N T C H W"],
) -> Shaped[np.ndarray, "N TC H W"]:
    """Frames of samples to one stack each, step by step: `[N, T, C, H, W]` to `[N, T·C, H, W]`.

    A stack is what attacks, splits and lattices take for an image.
    """
    return frames.reshape(len(frames), -1, *frames.shape[3:])


def stacks_to_train(stacks: Shaped[Tensor, "N TC H W"], steps: int) -> Shaped[Tensor, "T N C H W"]:
    """Stacks of `steps` frames to a train: `[N, T·C, H, W]` to `[T, N, C, H, W]`."""
    return stacks.unflatten(1, (steps, -1)).transpose(0, 1)


def train_to_stacks(
    train: Shaped[np.ndarray, "T N C H W"],
) -> Shaped[np.ndarray, "N TC H W"]:
    """A train to stacks: `[T, N, C, H, W]` to `[N, T·C, H, W]`."""
    return frames_to_stacks(np.ascontiguousarray(train.swapaxes(0, 1)))


def lava_to_train(x: Shaped[np.ndarray, "*axes T"]) -> Shaped[np.ndarray, "T *map"]:
    """Lava's `(W, H, C, T)` or `(N, T)` to `[T, C, H, W]` or `[T, N]`."""
    return np.ascontiguousarray(x.transpose(tuple(reversed(range(x.ndim)))))


def train_to_lava(x: Shaped[np.ndarray, "T *map"]) -> Shaped[np.ndarray, "*axes T"]:
    """`[T, C, H, W]` or `[T, N]` to Lava's `(W, H, C, T)` or `(N, T)`."""
    return lava_to_train(x)


def lava_to_map(x: Shaped[np.ndarray, "*axes"]) -> Shaped[np.ndarray, "*map"]:
    """Lava's `(W, H, C)` or `(N,)` to `[C, H, W]` or `[N]`."""
    return np.ascontiguousarray(x.transpose(tuple(reversed(range(x.ndim)))))


def map_to_lava(x: Shaped[np.ndarray, "*map"]) -> Shaped[np.ndarray, "*axes"]:
    """`[C, H, W]` or `[N]` to Lava's `(W, H, C)` or `(N,)`."""
    return lava_to_map(x)
