"""MNIST's idx files, raw or gzipped: MNIST and Fashion-MNIST under their official names.

Format: two zero bytes, 8 for uint8, the number of axes, each axis as a big-endian uint32, data.
Sources: LeCun, Cortes, Burges, "The MNIST database"; Xiao, Rasul, Vollgraf, "Fashion-MNIST",
arXiv 1708.07747.
"""

import gzip
import math
import struct
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ..core.errors import DataError, FormatError
from .bounded import check_size, read_exactly, reading
from .image_data import ImageData

FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}

CLASSES = {
    "mnist": tuple(str(digit) for digit in range(10)),
    "fashion-mnist": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
}

SUBFOLDERS = ("", "raw", "MNIST/raw", "FashionMNIST/raw")
"""Where the files may lie under the folder given; the last three are torchvision's."""


def read_mnist(path: Path) -> ImageData:
    """Reads MNIST from a folder of its four idx files; see `read_idx_folder`."""
    return read_idx_folder(path, kind="mnist")


def read_fashion_mnist(path: Path) -> ImageData:
    """Reads Fashion-MNIST from a folder of its four idx files; see `read_idx_folder`."""
    return read_idx_folder(path, kind="fashion-mnist")


def read_idx_folder(path: Path, *, kind: str) -> ImageData:
    """Reads four idx files as one-channel images; a raw file goes before its `.gz`.

    Raises:
        DataError: If a file is missing or unreadable, or counts and labels do not fit.
        FormatError: If a file is truncated, too long, or no idx file of uint8.
    """
    arrays = {
        role: read_idx(_locate(path, name), axes=3 if role.endswith("images") else 1)
        for role, name in FILES.items()
    }
    return ImageData(
        name=kind,
        train_images=arrays["train_images"][:, None],
        train_labels=arrays["train_labels"].astype(np.int64),
        test_images=arrays["test_images"][:, None],
        test_labels=arrays["test_labels"].astype(np.int64),
        classes=CLASSES[kind],
    )


def read_idx(path: Path, *, axes: int) -> UInt8[np.ndarray, "*axes"]:
    """Reads one idx file of uint8 with the given number of axes."""
    with reading(path), _open(path) as stream:
        shape = _read_header(stream, axes, path)
        size = math.prod(shape)
        check_size(size, what=str(path))
        data = read_exactly(stream, size, what=str(path))
    return np.frombuffer(data, np.uint8).reshape(shape)


def _open(path: Path) -> BufferedIOBase:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _read_header(stream: BufferedIOBase, axes: int, path: Path) -> tuple[int, ...]:
    head = stream.read(4 + 4 * axes)
    magic = bytes((0, 0, 8, axes))
    if head[:4] != magic or len(head) != 4 + 4 * axes:
        raise FormatError(
            f"expected an idx file of uint8 with {axes} axes (magic {magic.hex()}) at {path}, got "
            f"{len(head)} bytes of header starting with {head[:4].hex() or 'nothing'}; "
            "fetch the official file"
        )
    return struct.unpack(f">{axes}I", head[4:])


def _locate(folder: Path, name: str) -> Path:
    for subfolder in SUBFOLDERS:
        for candidate in (folder / subfolder / name, folder / subfolder / f"{name}.gz"):
            if candidate.is_file():
                return candidate
    raise DataError(
        f"expected {name} or {name}.gz in {folder}, got no such file; give the folder with the "
        "four official files"
    )
