"""Small data sets in their official containers, made by hand."""

import gzip
import io
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

CIFAR10_FILES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
CIFAR10_NAMES = tuple(f"class {index}" for index in range(10))


class Python2Pickler:
    """Writes what Python 2's `cPickle.dumps(value, 2)` writes: strings as bytes, all remembered."""

    def __init__(self) -> None:
        self._remembered = 0

    def dumps(self, value: object) -> bytes:
        return b"\x80\x02" + self._value(value) + b"."

    def _value(self, value: object) -> bytes:
        writers: dict[type, Callable] = {
            int: lambda number: b"J" + struct.pack("<i", number),
            bytes: lambda text: b"T" + struct.pack("<I", len(text)) + text + self._put(),
            list: lambda items: b"]" + self._put() + b"(" + self._all(items) + b"e",
            dict: lambda pairs: (
                b"}" + self._put() + b"(" + self._all(sum(pairs.items(), ())) + b"u"
            ),
            np.ndarray: self._array,
        }
        return writers[type(value)](value)

    def _all(self, items) -> bytes:
        return b"".join(self._value(item) for item in items)

    def _array(self, array: np.ndarray) -> bytes:
        dtype = array.dtype.str[1:].encode()
        return b"".join(
            (
                b"cnumpy.core.multiarray\n_reconstruct\n" + self._put(),
                b"cnumpy\nndarray\n" + self._put() + b"K\x00\x85" + self._put() + b"U\x01b\x87R",
                b"(K\x01" + self._all(array.shape) + bytes((0x84 + len(array.shape),)),
                b"cnumpy\ndtype\nU" + bytes((len(dtype),)) + dtype + b"K\x00K\x01\x87R",
                b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
                b"\x89" + self._value(array.tobytes()) + b"tb",
            )
        )

    def _put(self) -> bytes:
        self._remembered += 1
        return b"r" + struct.pack("<I", self._remembered)


@pytest.fixture(scope="session")
def python2_pickle() -> Callable[[object], bytes]:
    """Pickles as Python 2 did."""
    return lambda value: Python2Pickler().dumps(value)


@pytest.fixture
def cifar10_files(python2_pickle) -> dict[str, bytes]:
    """The seven files of CIFAR-10 with four images a batch: labels 0..3, 4..7, 8, 9, 0, 1, ..."""
    rng = np.random.default_rng(0)
    files: dict[str, dict[bytes, object]] = {
        "batches.meta": {b"label_names": [name.encode() for name in CIFAR10_NAMES]}
    }
    for index, name in enumerate(CIFAR10_FILES):
        labels = [(4 * index + offset) % 10 for offset in range(4)]
        data = rng.integers(0, 256, (4, 3072), np.uint8)
        files[name] = {b"batch_label": b"a batch", b"labels": labels, b"data": data}
    return {name: python2_pickle(value) for name, value in files.items()}


@pytest.fixture
def cifar100_files(python2_pickle) -> dict[str, bytes]:
    """The three files of CIFAR-100 with five images each."""
    data = np.arange(5 * 3072, dtype=np.uint32).astype(np.uint8).reshape(5, 3072)
    names = {b"fine_label_names": [b"name %d" % index for index in range(100)]}
    batch = {b"fine_labels": [99, 0, 7, 7, 50], b"coarse_labels": [19, 0, 1, 1, 3], b"data": data}
    return {
        name: python2_pickle(value)
        for name, value in zip(("meta", "train", "test"), (names, batch, batch), strict=True)
    }


@pytest.fixture
def write_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes files into a folder of the given name."""

    def write(name: str, files: dict[str, bytes]) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, data in files.items():
            (folder / file).write_bytes(data)
        return folder

    return write


@pytest.fixture
def write_archive(tmp_path: Path) -> Callable[..., Path]:
    """Writes files into `archive` (a `.tar.gz`), inside `folder`."""

    def write(archive: str, folder: str, files: dict[str, bytes]) -> Path:
        path = tmp_path / archive
        with tarfile.open(path, "w:gz") as stream:
            for name, data in files.items():
                member = tarfile.TarInfo(f"{folder}/{name}")
                member.size = len(data)
                stream.addfile(member, io.BytesIO(data))
        return path

    return write


@pytest.fixture
def idx_bytes() -> Callable[[np.ndarray], bytes]:
    """An idx file of uint8."""
    return lambda array: (
        (bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape))
        + array.astype(np.uint8).tobytes()
    )


@pytest.fixture
def mnist_folder(write_folder, idx_bytes) -> Path:
    """Seven training and three test images of 28x28, gzipped under their official names."""
    rng = np.random.default_rng(1)
    arrays = {
        "train-images-idx3-ubyte": rng.integers(0, 256, (7, 28, 28)),
        "train-labels-idx1-ubyte": np.array([9, 0, 1, 2, 3, 4, 5]),
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (3, 28, 28)),
        "t10k-labels-idx1-ubyte": np.array([5, 5, 0]),
    }
    return write_folder(
        "mnist", {f"{name}.gz": gzip.compress(idx_bytes(array)) for name, array in arrays.items()}
    )


@pytest.fixture
def members() -> dict[str, np.ndarray]:
    """The members of a lawful `.npz`: images of 4x5 with two channels, three classes."""
    rng = np.random.default_rng(2)
    return {
        "train_images": rng.integers(0, 256, (6, 4, 5, 2), np.uint8),
        "train_labels": np.array([0, 1, 2, 0, 1, 2]),
        "test_images": rng.integers(0, 256, (3, 4, 5, 2), np.uint8),
        "test_labels": np.array([2, 1, 0]),
    }


@pytest.fixture
def write_npz(tmp_path: Path, members) -> Callable[..., Path]:
    """Writes the members, some replaced, added or (None) left out."""

    def write(**changes) -> Path:
        path = tmp_path / "small.npz"
        chosen = {key: value for key, value in (members | changes).items() if value is not None}
        np.savez_compressed(path, **chosen)
        return path

    return write
