"""Reading foreign files without trusting their sizes.

What a header claims is checked against `MAX_BYTES` first, and memory is taken only as bytes
really arrive, so that a small file cannot ask for a large array.
"""

import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

from ..core.errors import DataError, FormatError

MAX_BYTES = 4 * 2**30
"""Largest array that is read, 4 GiB: all of ImageNet at 32x32 pixels, 20 times CIFAR."""

CHUNK_BYTES = 2**16
"""Bytes asked for at once: LZMA packs at most about 7000 to 1, so one step stays in memory."""


@runtime_checkable
class Readable(Protocol):
    """Anything with `read(size)`."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes, none at the end."""
        ...


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns whatever a decoder or the system says about `path` into one clear error.

    Raises:
        FormatError: If the file is truncated, damaged or of another format.
        DataError: If it cannot be opened or read.
    """
    try:
        yield
    except (
        EOFError,
        gzip.BadGzipFile,
        zlib.error,
        lzma.LZMAError,
        zipfile.BadZipFile,
        tarfile.TarError,
    ) as error:
        raise FormatError(
            f"expected a whole file of its format at {path}, got {error}; fetch it again"
        ) from error
    except OSError as error:
        raise DataError(
            f"expected a readable file at {path}, got {error.strerror or error}; check the path"
        ) from error


def check_size(size: int, *, what: str) -> None:
    """Refuses what is larger than `MAX_BYTES`, before anything is allocated.

    Raises:
        FormatError: If `size`, in bytes, is beyond the bound.
    """
    if size > MAX_BYTES:
        raise FormatError(
            f"expected at most {MAX_BYTES} bytes in {what}, got {size}; use a smaller data set"
        )


def read_exactly(stream: Readable, size: int, *, what: str) -> bytearray:
    """Reads `size` bytes, and finds the end of the stream right behind them.

    Raises:
        FormatError: If `size` is beyond `MAX_BYTES`, or the stream is shorter or longer.
    """
    check_size(size, what=what)
    data = bytearray()
    while len(data) < size:
        chunk = stream.read(min(CHUNK_BYTES, size - len(data)))
        if not chunk:
            raise FormatError(
                f"expected {size} bytes in {what}, got {len(data)}; the file is truncated, "
                "fetch it again"
            )
        data += chunk
    if stream.read(1):
        raise FormatError(
            f"expected {size} bytes in {what}, got more; the file is not what its header says"
        )
    return data


class BoundedStream(io.RawIOBase):
    """A seekable stream that ends with an error at `limit` bytes.

    `tarfile` reads headers of any claimed length in one piece: this stops it.
    """

    def __init__(self, stream: io.BufferedIOBase, *, limit: int, what: str) -> None:
        super().__init__()
        self._stream, self._limit, self._what = stream, limit, what

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; without a size, what is left below the limit."""
        size = self._limit - self.tell() if size < 0 else size
        self._check(self.tell() + size)
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Moves to a place, checked as counted from the start."""
        self._check(offset)
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """The place, counted from the start."""
        return self._stream.tell()

    def _check(self, end: int) -> None:
        if end > self._limit:
            raise FormatError(
                f"expected at most {self._limit} unpacked bytes in {self._what}, got {end} or "
                "more; use the official file"
            )
