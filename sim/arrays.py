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
    path = Path(path)
    if not path.is_file():
        raise _refusal(path, "no file")
    if not zipfile.is_zipfile(path):
        raise _refusal(path, "another format, or a file that is cut short")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except DAMAGE as error:
        raise _refusal(path, _reason(error)) from error
    # numpy hands over the bytes of a member that does not begin as an array does.
    foreign = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if foreign:
        raise _refusal(path, f"{foreign[0]!r}, which is no array")
    return arrays


def _refusal(path: Path, found: str) -> FormatError:
    return FormatError(
        f"expected an npz file of plain arrays at {path}, got {found}; write it with numpy.savez"
    )


def _reason(error: BaseException) -> str:
    """In our words where numpy would advise to unpickle."""
    if isinstance(error, ValueError):
        return "an array that is damaged or holds Python objects"
    return str(error).partition("\n")[0] or type(error).__name__


def write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Writes an npz file, whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
