"""HDF5 files from strangers: nothing is read before its size, place and type are known."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Shaped

from ..core.errors import FormatError, SpikeproofError

MAX_NUMBERS = 1 << 27
"""Most numbers that one dataset may hold: the file may state far more than it stores."""
MAX_TEXT = 1 << 24
"""Most bytes that a text, or a list of them, may take."""
SHOWN = 8
"""Names that a message lists at most."""


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Opens a file for reading.

    Raises:
        FormatError: If it is absent, truncated or no HDF5 file.
    """
    try:
        # Opening a pipe would wait for a writer.
        file = h5py.File(path, "r") if Path(path).is_file() else None
    except (OSError, ValueError, RuntimeError) as error:
        raise FormatError(
            f"expected an HDF5 file at {path}, got not HDF5, or cut short; pass a complete file"
        ) from error
    if file is None:
        raise FormatError(f"expected an HDF5 file at {path}, got no file; pass a complete file")
    with file:
        yield file


class Fields:
    """A group of an HDF5 file, read field by field, every error naming file and field."""

    def __init__(self, group: h5py.Group, place: str) -> None:
        self._group, self.place = group, place

    def __contains__(self, name: str) -> bool:
        return self._link(name) is not None

    def names(self) -> list[str]:
        """Names of what the group holds."""
        with _readable(self.place):
            # h5py gives names that are not UTF-8 as bytes
            return [n if isinstance(n, str) else repr(n) for n in self._group]

    def group(self, name: str) -> "Fields":
        """A group inside this one."""
        item = self._local(name)
        if not isinstance(item, h5py.Group):
            raise FormatError(
                f"expected {self.place} to hold a group {name!r}, got a dataset; rewrite it"
            )
        return Fields(item, f"{self.place}/{name}")

    def shape(self, name: str) -> tuple[int, ...]:
        """What shape a dataset states; nothing of it is read."""
        return tuple(self._dataset(name).shape)

    def text(self, name: str) -> str:
        """A string, alone or as the first of a vector."""
        item, first = self._dataset(name), self._first_text(name)
        if item.ndim > 1:
            raise FormatError(
                f"expected one text in {self.place}/{name}, got shape {list(item.shape)}; store it "
                f"alone"
            )
        return first.decode("ascii", "replace") if isinstance(first, bytes) else str(first)

    def texts(self, name: str) -> Shaped[np.ndarray, "..."]:
        """All strings of an array, as stored."""
        self._first_text(name)  # refuses what is no text
        item = self._dataset(name)
        with _readable(f"{self.place}/{name}"):
            if item.nbytes > MAX_TEXT:
                raise _too_large(f"{self.place}/{name}", f"{MAX_TEXT} bytes", item)
            return np.asarray(item[()])

    def _first_text(self, name: str) -> bytes | str:
        item = self._dataset(name)
        place = f"{self.place}/{name}"
        with _readable(place):
            if item.dtype.itemsize > MAX_TEXT:
                raise _too_large(place, f"{MAX_TEXT} bytes", item)
            first = item[(0,) * item.ndim] if item.size else None
        if not isinstance(first, bytes | str):
            raise FormatError(f"expected text in {place}, got {item.dtype}; rewrite the field")
        return first

    def numbers(self, name: str) -> Shaped[np.ndarray, "..."]:
        """Finite numbers, in the type that the file stores them in.

        Raises:
            FormatError: If the field is missing, no array of numbers, too large or not finite.
        """
        item, place = self._dataset(name), f"{self.place}/{name}"
        with _readable(place):
            if item.dtype.kind not in "iufb":
                raise FormatError(
                    f"expected numbers in {place}, got {_kind(item)}; rewrite the field"
                )
            if math.prod(item.shape) > MAX_NUMBERS:
                raise _too_large(place, f"{MAX_NUMBERS} numbers", item)
            value = np.asarray(item[()])
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise FormatError(
                    f"expected finite numbers in {place}, got NaN or infinity; mend the exporter"
                )
        return value

    def _dataset(self, name: str) -> h5py.Dataset:
        """A dataset that lies in the file; nothing of it is read."""
        item, place = self._local(name), f"{self.place}/{name}"
        if not isinstance(item, h5py.Dataset):
            raise FormatError(
                f"expected {self.place} to hold a dataset {name!r}, got a group; rewrite it"
            )
        with _readable(place):
            if item.is_virtual or item.external:
                raise FormatError(
                    f"expected {place} to lie in the file, got a link to another file; copy the "
                    f"data in"
                )
            if item.shape is None:
                raise FormatError(
                    f"expected {place} to hold a value, got a dataset that HDF5 calls empty; store "
                    f"an array"
                )
        return item

    def _local(self, name: str) -> object:
        link = self._link(name)
        if link is None:
            raise FormatError(
                f"expected {self.place} to hold {name!r}, got {listed(self.names())}; add the "
                f"missing field"
            )
        if not isinstance(link, h5py.HardLink):
            raise FormatError(
                f"expected {self.place}/{name} to lie in the file, got a link; copy the data in"
            )
        with _readable(f"{self.place}/{name}"):
            return self._group[name]

    def _link(self, name: str) -> object:
        """What kind of link leads to a field, not followed; None where there is no field."""
        with _readable(self.place):
            return self._group.get(name, getlink=True)


def _kind(item: h5py.Dataset) -> str:
    """The type of a dataset, in words where numpy has none for it."""
    return "text" if h5py.check_string_dtype(item.dtype) else str(item.dtype)


def _too_large(place: str, most: str, item: h5py.Dataset) -> FormatError:
    return FormatError(
        f"expected at most {most} in {place}, got shape {item.shape} of {item.dtype}; make it "
        f"smaller"
    )


def listed(names: list[str]) -> str:
    """Names for a message, on one line."""
    shown = ", ".join(name if name.isprintable() else repr(name) for name in names[:SHOWN])
    return f"{shown}, ..." if len(names) > SHOWN else shown or "nothing"


@contextmanager
def _readable(place: str) -> Iterator[None]:
    """Turns what HDF5 says of damage that it meets on the way into a FormatError."""
    try:
        yield
    except SpikeproofError:
        raise
    except MemoryError as error:
        raise FormatError(
            f"expected {place} to fit in memory, got {_reason(error)}; make it smaller"
        ) from error
    except (OSError, RuntimeError, LookupError, ValueError, TypeError) as error:
        reason = _reason(error)
        raise FormatError(
            f"expected {place} to be readable, got {reason}; the file is damaged"
        ) from error


def _reason(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
