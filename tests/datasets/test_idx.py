"""MNIST's idx files."""

import gzip
import struct

import numpy as np
import pytest

from spikeproof.core.errors import DataError, FormatError
from spikeproof.datasets import bounded
from spikeproof.datasets.idx import read_fashion_mnist, read_idx, read_mnist


def test_mnist_is_read_from_gzipped_files(mnist_folder):
    data = read_mnist(mnist_folder)
    rng = np.random.default_rng(1)
    np.testing.assert_array_equal(data.train_images[:, 0], rng.integers(0, 256, (7, 28, 28)))
    assert data.train_labels.tolist() == [9, 0, 1, 2, 3, 4, 5]
    assert data.test_images.shape == (3, 1, 28, 28)


def test_mnist_is_read_from_raw_files_in_torchvisions_folder(mnist_folder):
    raw = mnist_folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in mnist_folder.glob("*.gz"):
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    expected = read_mnist(mnist_folder).train_images
    for path in mnist_folder.glob("*.gz"):
        path.unlink()
    np.testing.assert_array_equal(read_mnist(mnist_folder).train_images, expected)


def test_fashion_mnist_has_its_own_names(mnist_folder):
    data = read_fashion_mnist(mnist_folder)
    assert data.name == "fashion-mnist"
    assert (data.classes[0], data.classes[9]) == ("T-shirt/top", "Ankle boot")


def test_mnist_names_a_missing_file(mnist_folder):
    (mnist_folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match="expected t10k-labels-idx1-ubyte or t10k-labels-idx1"):
        read_mnist(mnist_folder)


def test_mnist_refuses_labels_beyond_nine(mnist_folder, idx_bytes):
    (mnist_folder / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.array([1, 2, 10])))
    with pytest.raises(DataError, match=r"expected labels in 0..9 in mnist test_labels, got 1..10"):
        read_mnist(mnist_folder)


def test_mnist_refuses_unequal_counts(mnist_folder, idx_bytes):
    (mnist_folder / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.array([1, 2])))
    with pytest.raises(DataError, match="one int64 label for each of 3 images"):
        read_mnist(mnist_folder)


def test_mnist_refuses_empty_files(mnist_folder, idx_bytes):
    (mnist_folder / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(0)))
    (mnist_folder / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros((0, 28, 28))))
    with pytest.raises(DataError, match="expected non-empty images"):
        read_mnist(mnist_folder)


@pytest.mark.parametrize(
    "head",
    [b"", b"\0\0\x08", b"\0\0\x0d\x01\0\0\0\x01", b"\0\0\x08\x03\0\0\0\x01", b"\x01\0\x08\x01"],
)
def test_idx_refuses_a_wrong_magic_number(tmp_path, head):
    path = tmp_path / "labels"
    path.write_bytes(head)
    with pytest.raises(FormatError, match=r"idx file of uint8 with 1 axes \(magic 00000801\)"):
        read_idx(path, axes=1)


@pytest.mark.parametrize("change", [-1, 1])
def test_idx_refuses_another_length_than_its_header_says(tmp_path, idx_bytes, change):
    path = tmp_path / "labels"
    path.write_bytes((idx_bytes(np.arange(5)) + b"\0")[: 8 + 5 + change])
    with pytest.raises(FormatError, match="expected 5 bytes in"):
        read_idx(path, axes=1)


def test_idx_refuses_a_truncated_gzip(tmp_path, idx_bytes):
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.arange(200)))[:-12])
    with pytest.raises(FormatError, match="expected a whole file"):
        read_idx(path, axes=1)


def test_idx_refuses_what_is_no_gzip(tmp_path, idx_bytes):
    path = tmp_path / "labels.gz"
    path.write_bytes(idx_bytes(np.arange(5)))
    with pytest.raises(FormatError, match="Not a gzipped file"):
        read_idx(path, axes=1)


def test_idx_refuses_a_huge_claim_before_reading(tmp_path):
    path = tmp_path / "images"
    path.write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", 2**32 - 1, 2**16, 2**16))
    with pytest.raises(FormatError, match=f"expected at most {bounded.MAX_BYTES} bytes"):
        read_idx(path, axes=3)
