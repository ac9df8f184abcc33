"""Files of frames that somebody else counted: `.npz` and MATLAB's `.mat`."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ..core.errors import DataError, FormatError
from .bounded import check_size, reading
from .frames import FrameConfig, check_frames
from .npz_file import read_members

NAME = "frames"
ENDINGS = (".npz", ".mat")
LARGEST_NUMBER = 8
"""Bytes of a double, MATLAB's usual number."""


def read_frames(path: Path, config: FrameConfig) -> UInt8[np.ndarray, "T P H W"]:
    """Reads `frames` `[T, 2, H, W]`, whole counts of events, as levels: times `unit`, capped.

    Args:
        path: Ends in one of `ENDINGS`; pickled objects are never read.
        config: What the frames have to be already: steps and size are not changed.

    Raises:
        FormatError: If the file is damaged or too large.
        DataError: If it is absent, has no `frames`, or these are no counts or of another shape.
    """
    with reading(path):
        check_size(path.stat().st_size, what=str(path))
        is_matlab = path.suffix.lower() == ".mat"
        arrays = _matlab(path) if is_matlab else read_members(path, (NAME,), ())
    if NAME not in arrays:
        raise DataError(
            f"expected {NAME!r} in {path}, got {', '.join(sorted(arrays)) or 'nothing'}; rename it"
        )
    counts = check_frames(arrays[NAME], what=str(path)).astype(np.int64)
    frames = np.minimum(config.unit * counts, config.cap).astype(np.uint8)
    wanted = (config.steps, *(config.size or frames.shape[2:]))
    if (len(frames), *frames.shape[2:]) != wanted:
        raise DataError(
            f"expected {config.steps} frames of {wanted[1]}x{wanted[2]} in {path}, got "
            f"{len(frames)} of {frames.shape[2]}x{frames.shape[3]}; count the recording again"
        )
    return frames


def _matlab(path: Path) -> dict[str, np.ndarray]:
    """The variables of a MATLAB file that are named `NAME`."""
    from scipy.io import loadmat, whosmat

    with _decoding(path):
        shapes = [shape for name, shape, _ in whosmat(path) if name == NAME]
    # A compressed variable may be far larger than its file.
    size = max((LARGEST_NUMBER * math.prod(shape) for shape in shapes), default=0)
    check_size(size, what=f"{NAME} of {path}")
    with _decoding(path):
        return {k: v for k, v in loadmat(path, variable_names=[NAME]).items() if k[0] != "_"}


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, NotImplementedError, KeyError) as error:
        # SciPy raises NotImplementedError for MATLAB 7.3, which is HDF5 inside.
        raise FormatError(
            f"expected an undamaged .mat of arrays at {path}, got {error}; copy it again"
        ) from error
