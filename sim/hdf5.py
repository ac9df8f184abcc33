"""HDF5 files from strangers: nothing is read before its size, place and type are known."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Shaped

from ..core.errors import FormatError, SpikeproofError

MAX_BYTES = 1 << 31
"""Most that one dataset may take in memory."""
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

    def text(self, name: str) -> str:
        """A string, alone or as the first of an array."""
        value = np.asarray(self._read(name)).reshape(-1)
        if value.size == 0 or not isinstance(value[0], bytes | str):
            raise FormatError(
                f"expected text in {self.place}/{name}, got {value.dtype}; rewrite the field"
            )
        first = value[0]
        return first.decode("ascii", "replace") if isinstance(first, bytes) else str(first)

    def numbers(self, name: str) -> Shaped[np.ndarray, "..."]:
        """Finite numbers.

        Raises:
            FormatError: If the field is missing, no array of numbers, too large or not finite.
        """
        value = np.asarray(self._read(name))
        if value.dtype.kind not in "iufb":
            raise FormatError(
                f"expected numbers in {self.place}/{name}, got {value.dtype}; rewrite the field"
            )
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise FormatError(
                f"expected finite numbers in {self.place}/{name}, got NaN or infinity; mend the "
                f"exporter"
            )
        return value

    def _read(self, name: str) -> object:
        item = self._local(name)
        if not isinstance(item, h5py.Dataset):
            raise FormatError(
                f"expected {self.place} to hold a dataset {name!r}, got a group; rewrite it"
            )
        with _readable(f"{self.place}/{name}"):
            if item.is_virtual or item.external:
                raise FormatError(
                    f"expected {self.place}/{name} to lie in the file, got a link to another "
                    f"file; copy the data in"
                )
            if item.size is None or item.nbytes > MAX_BYTES:
                raise FormatError(
                    f"expected at most {MAX_BYTES} bytes in {self.place}/{name}, got shape "
                    f"{item.shape} of {item.dtype}; split the layer"
                )
            return item[()]

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
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, MemoryError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FormatError(
            f"expected {place} to be readable, got {reason}; the file is damaged"
        ) from error
