"""Data sets in one `.npz` file, of any size and number of classes.

Members: `train_images` and `test_images` uint8 [N, H, W, C], `train_labels` and `test_labels`
integers [N], and optionally `class_names` (or `fine_names`) strings [K]. Others are ignored.
Pickled objects are never read.
"""

import math
import tokenize
import zipfile
from collections.abc import Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Shaped

from ..core.axes import images_to_maps
from ..core.errors import DataError, FormatError
from .bounded import check_size, read_exactly, reading
from .image_data import ImageData, labels_from

MEMBERS = ("train_images", "train_labels", "test_images", "test_labels")
NAME_MEMBERS = ("class_names", "fine_names")

HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
"""Versions of the `.npy` format that plain arrays use; version 3 is for named fields."""


def read_npz(path: Path) -> ImageData:
    """Reads a data set named after its file.

    Raises:
        DataError: If the file is absent, or a member is missing, empty or not of its dtype.
        FormatError: If it is truncated, no zip of arrays, or larger than 4 GiB a member.
    """
    arrays = read_members(path)
    labels = {
        part: labels_from(arrays[f"{part}_labels"], what=f"{part}_labels of {path}")
        for part in ("train", "test")
    }
    return ImageData(
        name=path.stem,
        train_images=_maps(arrays["train_images"], what=f"train_images of {path}"),
        train_labels=labels["train"],
        test_images=_maps(arrays["test_images"], what=f"test_images of {path}"),
        test_labels=labels["test"],
        classes=_classes(arrays, labels, path),
    )


def read_members(
    path: Path, names: Sequence[str] = MEMBERS, optional: Sequence[str] = NAME_MEMBERS
) -> dict[str, np.ndarray]:
    """Reads members by name, by default those of a data set, each checked before it is unpacked."""
    with reading(path), zipfile.ZipFile(path) as archive:
        present = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        missing = [name for name in names if name not in present]
        if missing:
            raise DataError(
                f"expected {', '.join(names)} in {path}, got {', '.join(sorted(present))}; "
                f"add {', '.join(missing)}"
            )
        wanted = [name for name in (*names, *optional) if name in present]
        return {name: _read_member(archive, present[name], path) for name in wanted}


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> np.ndarray:
    what = f"{info.filename} of {path}"
    check_size(info.file_size, what=what)
    try:
        with archive.open(info) as stream:
            return read_array(cast(BufferedIOBase, stream), info.file_size, what)
    except (RuntimeError, NotImplementedError) as error:
        # zipfile's way to say "encrypted" and "unknown compression".
        raise FormatError(
            f"expected a plain member {what}, got {error}; write it with numpy.savez"
        ) from error


def read_array(stream: BufferedIOBase, size: int, what: str) -> np.ndarray:
    """One `.npy` stream of `size` bytes; the header must account for every one of them.

    Raises:
        FormatError: If it does not, or is damaged.
        DataError: If the array holds anything but numbers or strings.
    """
    shape, fortran, dtype = _read_header(stream, what)
    if dtype.hasobject or dtype.names is not None or dtype.kind not in "biufUS":
        raise DataError(
            f"expected numbers or strings in {what}, got {dtype}; objects are never unpickled, "
            "store plain arrays"
        )
    count = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or stream.tell() + count != size:
        raise FormatError(
            f"expected {size - stream.tell()} bytes of data in {what}, got a header for {dtype} "
            f"{list(shape)}; the file is damaged, write it again"
        )
    data = np.frombuffer(read_exactly(stream, count, what=what), dtype)
    return data.reshape(shape, order="F" if fortran else "C")


def _read_header(stream: BufferedIOBase, what: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        version = np.lib.format.read_magic(stream)
        return HEADERS[version](stream)
    except (ValueError, KeyError, TypeError, OverflowError, tokenize.TokenError) as error:
        # numpy's own words go over several lines and advise to trust the file.
        raise FormatError(
            f"expected a .npy header in {what}, got none that is whole; write it with numpy again"
        ) from error


def _maps(images: Shaped[np.ndarray, "*axes"], *, what: str) -> Shaped[np.ndarray, "N C H W"]:
    if images.dtype != np.uint8:
        raise DataError(
            f"expected uint8 pixels in {what}, got {images.dtype}; store whole numbers 0..255"
        )
    if images.ndim != 4:
        raise DataError(
            f"expected images [N, H, W, C] in {what}, got shape {list(images.shape)}; "
            "grey images need a last axis of 1"
        )
    return images_to_maps(images)


def _classes(
    arrays: dict[str, np.ndarray], labels: dict[str, np.ndarray], path: Path
) -> tuple[str, ...]:
    """The stored names, or the numbers 0..K-1 where the file has none."""
    for member in NAME_MEMBERS:
        if member in arrays:
            return _names(arrays[member], what=f"{member} of {path}")
    top = max((int(part.max()) for part in labels.values() if part.size), default=-1)
    return tuple(str(index) for index in range(top + 1))


def _names(names: Shaped[np.ndarray, "*axes"], *, what: str) -> tuple[str, ...]:
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise DataError(
            f"expected strings [K] in {what}, got {names.dtype} {list(names.shape)}; "
            "store one name a class"
        )
    try:
        return tuple(str(name) for name in names.astype(str))
    except UnicodeDecodeError as error:
        raise DataError(f"expected ASCII or unicode in {what}, got {error}; store str") from error
