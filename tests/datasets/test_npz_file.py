"""Data sets in one `.npz` file."""

import io
import zipfile

import numpy as np
import pytest

from spikeproof.core.errors import DataError, FormatError
from spikeproof.datasets import bounded
from spikeproof.datasets.npz_file import read_npz


def test_npz_images_become_channel_first(write_npz, members):
    data = read_npz(write_npz())
    assert data.name == "small"
    np.testing.assert_array_equal(data.train_images, members["train_images"].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(data.test_labels, members["test_labels"])


def test_npz_without_names_numbers_its_classes(write_npz):
    assert read_npz(write_npz()).classes == ("0", "1", "2")


@pytest.mark.parametrize("member", ["class_names", "fine_names"])
def test_npz_names_are_read(write_npz, member):
    data = read_npz(write_npz(**{member: np.array(["a", "bb", "ccc", "d"])}))
    assert data.classes == ("a", "bb", "ccc", "d")


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, ">i8", np.uint64])
def test_npz_labels_of_any_integer_become_int64(write_npz, members, dtype):
    data = read_npz(write_npz(train_labels=members["train_labels"].astype(dtype)))
    np.testing.assert_array_equal(data.train_labels, members["train_labels"])
    assert data.train_labels.dtype == np.int64


def test_npz_fortran_order_is_honoured(write_npz, members):
    data = read_npz(write_npz(train_images=np.asfortranarray(members["train_images"])))
    np.testing.assert_array_equal(data.train_images, members["train_images"].transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_labels": None}, "add test_labels"),
        ({"train_images": np.full((6, 4, 5, 2), np.nan)}, "expected uint8 pixels .* got float64"),
        ({"train_images": np.zeros((6, 4, 5, 2), np.int8)}, "expected uint8 pixels .* got int8"),
        ({"train_images": np.zeros((6, 4, 5), np.uint8)}, "grey images need a last axis of 1"),
        ({"train_images": np.zeros((6, 0, 5, 2), np.uint8)}, "expected non-empty images"),
        ({"train_images": np.zeros((0, 4, 5, 2), np.uint8)}, "expected non-empty images"),
        ({"test_images": np.zeros((3, 5, 5, 2), np.uint8)}, "images of one size"),
        ({"train_labels": np.arange(5)}, "one int64 label for each of 6 images"),
        ({"train_labels": np.zeros((6, 1), int)}, r"expected integer labels \[N\]"),
        ({"train_labels": np.zeros(6)}, r"expected integer labels \[N\] .* got float64"),
        ({"train_labels": np.array([0, 0, 0, 0, 0, -1])}, "expected labels in 0..65535"),
        ({"train_labels": np.array([0, 0, 0, 0, 0, 2**63], np.uint64)}, "got 0..9223372036854"),
        ({"class_names": np.array(["a", "b"])}, "expected labels in 0..1 .* got 0..2"),
        ({"class_names": np.arange(3)}, r"expected strings \[K\]"),
        ({"class_names": np.array([b"\xff", b"a", b"b"])}, "expected ASCII or unicode"),
        ({"train_labels": np.array([{}] * 6, object)}, "objects are never unpickled"),
    ],
)
def test_npz_refuses_unlawful_members(write_npz, changes, message):
    with pytest.raises(DataError, match=message):
        read_npz(write_npz(**changes))


def test_npz_refuses_an_absent_file(tmp_path):
    with pytest.raises(DataError, match="got No such file or directory; check the path"):
        read_npz(tmp_path / "absent.npz")


def test_npz_refuses_a_folder(tmp_path):
    with pytest.raises(DataError, match="expected a readable file"):
        read_npz(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_npz_refuses_a_truncated_file(write_npz, share):
    path = write_npz()
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(FormatError, match="expected a whole file"):
        read_npz(path)


def test_npz_refuses_damaged_pixels(tmp_path, members):
    path = tmp_path / "stored.npz"
    np.savez(path, **members)
    data = path.read_bytes()
    place = data.index(members["train_images"].tobytes())
    path.write_bytes(data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :])
    with pytest.raises(FormatError, match="Bad CRC-32"):
        read_npz(path)


def test_npz_refuses_a_huge_member_before_reading_it(write_npz, monkeypatch):
    path = write_npz()
    monkeypatch.setattr(bounded, "MAX_BYTES", 200)
    with pytest.raises(FormatError, match="expected at most 200 bytes in train_images.npy"):
        read_npz(path)


@pytest.mark.parametrize("claimed", [(10**9, 4, 5, 2), (5, 4, 5, 2), (-6, 4, 5, -2)])
def test_npz_refuses_a_header_that_claims_another_size(write_npz, members, tmp_path, claimed):
    header, path = io.BytesIO(), tmp_path / "claim.npz"
    fields = {"descr": "|u1", "fortran_order": False, "shape": claimed}
    np.lib.format.write_array_header_1_0(header, fields)
    with zipfile.ZipFile(write_npz(train_images=None)) as source, zipfile.ZipFile(path, "w") as out:
        for name in source.namelist():
            out.writestr(name, source.read(name))
        out.writestr("train_images.npy", header.getvalue() + members["train_images"].tobytes())
    with pytest.raises(FormatError, match="expected 240 bytes of data in train_images.npy"):
        read_npz(path)


def test_npz_refuses_members_that_are_no_arrays(write_npz, tmp_path):
    path = tmp_path / "text.npz"
    with zipfile.ZipFile(path, "w") as out:
        for name in ("train_images", "train_labels", "test_images", "test_labels"):
            out.writestr(f"{name}.npy", b"only text")
    with pytest.raises(FormatError, match=r"expected a .npy header in train_images.npy"):
        read_npz(path)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [(8, 1, "encrypted"), (10, 99, "compression method is not supported")],
)
def test_npz_refuses_members_that_are_packed_otherwise(write_npz, place, value, message):
    path = write_npz()
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + place] = value
    path.write_bytes(data)
    with pytest.raises(FormatError, match=f"expected a plain member train_images.npy .*{message}"):
        read_npz(path)


@pytest.mark.parametrize(
    ("name", "train", "test", "classes"),
    [
        ("cifar10", (5397, 3, 32, 32), (508, 3, 32, 32), ("airplane", "truck")),
        ("cifar100", (1117, 3, 32, 32), (458, 3, 32, 32), ("apple", "worm")),
        ("mnist", (14262, 1, 28, 28), (5000, 1, 28, 28), ("0", "9")),
    ],
)
def test_npz_reads_real_subsets(shared, name, train, test, classes):
    path = shared / "data" / f"{name}-subset.npz"
    data, stored = read_npz(path), np.load(path, allow_pickle=False)
    assert data.train_images.shape == train
    assert data.test_images.shape == test
    assert (data.classes[0], data.classes[-1]) == classes
    np.testing.assert_array_equal(data.test_images, stored["test_images"].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(data.train_labels, stored["train_labels"])
