"""npz files of plain arrays."""

import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import FormatError
from ..core.files import atomic_path

DAMAGE = (
    *(OSError, ValueError, EOFError, LookupError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
"""What numpy and zipfile raise on files that are cut short, altered or not theirs."""


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads every array of an npz file; pickled objects are refused.

    Raises:
        FormatError: If the file is absent, truncated, foreign or holds objects.
    """
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("a single array")
        with archive:
            return {name: archive[name] for name in archive.files}
    except DAMAGE as error:
        said = str(error).partition("\n")[0] or type(error).__name__
        reason = said if Path(path).is_file() else "no file"
        raise FormatError(
            f"expected an npz file of plain arrays at {path}, got {reason}; use numpy.savez"
        ) from error


def write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Writes an npz file, whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
