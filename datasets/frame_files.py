"""Files of frames that somebody else counted: `.npz` and MATLAB's `.mat`."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ..core.errors import DataError
from . import bounded
from .bounded import check_size, reading
from .frames import FrameConfig, check_frames
from .isolated import DECODER
from .npz_file import read_members

NAME = "frames"
ENDINGS = (".npz", ".mat")


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
    """The variable of a MATLAB file that is named `NAME`."""
    found, said = DECODER.decode("mat", path, limit=bounded.MAX_BYTES)
    if found is None:
        raise DataError(
            f"expected {NAME!r} in {path}, got {', '.join(said['names']) or 'nothing'}; rename it"
        )
    return {NAME: found}
