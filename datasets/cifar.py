"""CIFAR-10 and CIFAR-100, the official python version: batches in a folder, or its `.tar.gz`.

Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

import gzip
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Int64, UInt8

from ..core.errors import DataError, FormatError
from .bounded import BoundedStream, read_exactly, reading
from .image_data import ImageData, labels_from
from .restricted_pickle import MAX_PICKLE_BYTES, read_batch

IMAGE_SHAPE = (3, 32, 32)
ROW = 3 * 32 * 32

MAX_ARCHIVE_BYTES = 2**30
"""Most that is unpacked of an archive, 1 GiB: the official ones hold 178 and 162 MB."""

Files = dict[str, bytearray]
"""File name in the batches folder to its bytes."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where one of the two data sets keeps what."""

    name: str
    folder: str
    archive: str
    train: tuple[str, ...]
    test: str
    meta: str
    labels_key: str
    names_key: str

    @property
    def files(self) -> tuple[str, ...]:
        """All the files that are read."""
        return (*self.train, self.test, self.meta)


CIFAR10 = Layout(
    name="cifar10",
    folder="cifar-10-batches-py",
    archive="cifar-10-python.tar.gz",
    train=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test="test_batch",
    meta="batches.meta",
    labels_key="labels",
    names_key="label_names",
)

CIFAR100 = Layout(
    name="cifar100",
    folder="cifar-100-python",
    archive="cifar-100-python.tar.gz",
    train=("train",),
    test="test",
    meta="meta",
    labels_key="fine_labels",
    names_key="fine_label_names",
)


def read_cifar10(path: Path) -> ImageData:
    """Reads CIFAR-10; see `read_layout`."""
    return read_layout(path, CIFAR10)


def read_cifar100(path: Path) -> ImageData:
    """Reads CIFAR-100 with its 100 fine labels; see `read_layout`."""
    return read_layout(path, CIFAR100)


def read_layout(path: Path, layout: Layout) -> ImageData:
    """Reads the batches at `path`, in official order.

    Args:
        path: The batches folder, a folder that holds it or the official archive, or the archive.
        layout: Which data set it is.

    Raises:
        DataError: If a file is missing or unreadable, or labels do not fit the images.
        FormatError: If a file is truncated, no official batch, or larger than its bound.
    """
    source, read_files = _locate(path, layout)
    files = read_files(source, layout)
    missing = [name for name in layout.files if name not in files]
    if missing:
        raise DataError(
            f"expected {', '.join(layout.files)} in {source}, got no {', '.join(missing)}; "
            "use the complete python version"
        )
    batches = {name: read_batch(files[name], source=f"{source}: {name}") for name in layout.files}
    parts = [_read_part(batches[name], layout, f"{source}: {name}") for name in layout.train]
    test_images, test_labels = _read_part(batches[layout.test], layout, f"{source}: {layout.test}")
    return ImageData(
        name=layout.name,
        train_images=np.concatenate([images for images, _ in parts]),
        train_labels=np.concatenate([labels for _, labels in parts]),
        test_images=test_images,
        test_labels=test_labels,
        classes=_read_names(batches[layout.meta], layout, f"{source}: {layout.meta}"),
    )


def _locate(path: Path, layout: Layout) -> tuple[Path, Callable[[Path, Layout], Files]]:
    if path.suffix == ".npz":
        raise DataError(
            f"expected {layout.folder} or {layout.archive}, got {path}; name it npz:{path}"
        )
    if path.is_file():
        return path, _read_archive
    for folder in (path, path / layout.folder):
        if any((folder / name).is_file() for name in layout.files):
            return folder, _read_folder
    if (path / layout.archive).is_file():
        return path / layout.archive, _read_archive
    raise DataError(
        f"expected {layout.folder} or {layout.archive} at {path}, got neither; unpack or put there "
        "the python version (not the binary or MATLAB one)"
    )


def _read_folder(folder: Path, layout: Layout) -> Files:
    files: Files = {}
    for name in layout.files:
        path = folder / name
        if not path.is_file():
            continue
        with reading(path), path.open("rb") as stream:
            size = path.stat().st_size
            _check_batch_size(size, f"{path}")
            files[name] = read_exactly(stream, size, what=f"{path}")
    return files


def _read_archive(path: Path, layout: Layout) -> Files:
    """Reads the batches out of the archive, in memory; nothing is unpacked to disk."""
    files: Files = {}
    with reading(path), gzip.open(path, "rb") as unpacked:
        stream = BoundedStream(unpacked, limit=MAX_ARCHIVE_BYTES, what=str(path))
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if member.isfile() and name.parts == (layout.folder, name.name):
                    files.update(_read_member(archive, member, layout, path))
    return files


def _read_member(
    archive: tarfile.TarFile, member: tarfile.TarInfo, layout: Layout, path: Path
) -> Files:
    name = PurePosixPath(member.name).name
    stream = archive.extractfile(member) if name in layout.files else None
    if stream is None:
        return {}
    what = f"{path}: {name}"
    _check_batch_size(member.size, what)
    return {name: read_exactly(stream, member.size, what=what)}


def _check_batch_size(size: int, what: str) -> None:
    if size > MAX_PICKLE_BYTES:
        raise FormatError(
            f"expected at most {MAX_PICKLE_BYTES} bytes in {what}, got {size}; "
            "use the official file"
        )


def _read_part(
    batch: dict[str, object], layout: Layout, what: str
) -> tuple[UInt8[np.ndarray, "N 3 32 32"], Int64[np.ndarray, " N"]]:
    """Rows of 3072 bytes are red, green, blue planes of 32 rows: already `[C, H, W]`."""
    images, labels = batch.get("data"), batch.get(layout.labels_key)
    if not isinstance(images, np.ndarray) or images.ndim != 2 or images.shape[1] != ROW:
        raise FormatError(
            f"expected an array [N, {ROW}] under 'data' in {what}, got {_describe(images)}; "
            f"check that this is {layout.name}"
        )
    if not isinstance(labels, list) or any(type(label) is not int for label in labels):
        raise FormatError(
            f"expected a list of whole numbers under {layout.labels_key!r} in {what}, got "
            f"{_describe(labels)}; check that this is {layout.name}"
        )
    if len(labels) != len(images):
        raise DataError(
            f"expected one label for each of {len(images)} images in {what}, got {len(labels)}; "
            "use the official file"
        )
    return images.reshape(-1, *IMAGE_SHAPE), labels_from(np.array(labels, ndmin=1), what=what)


def _read_names(meta: dict[str, object], layout: Layout, what: str) -> tuple[str, ...]:
    names = meta.get(layout.names_key)
    if not isinstance(names, list) or not all(isinstance(name, str | bytes) for name in names):
        raise FormatError(
            f"expected a list of names under {layout.names_key!r} in {what}, got "
            f"{_describe(names)}; check that this is {layout.name}"
        )
    return tuple(
        name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in names
    )


def _describe(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    return "nothing" if value is None else type(value).__name__
