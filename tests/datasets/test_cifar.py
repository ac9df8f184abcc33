"""CIFAR-10 and CIFAR-100 from batches and archives."""

import gzip
import tarfile

import numpy as np
import pytest

from spikeproof.core.errors import DataError, FormatError
from spikeproof.datasets import cifar
from spikeproof.datasets.cifar import read_cifar10, read_cifar100

BATCHES, ARCHIVE = "cifar-10-batches-py", "cifar-10-python.tar.gz"


def test_an_npz_file_is_pointed_to_its_own_kind(tmp_path):
    with pytest.raises(DataError, match=f"name it npz:{tmp_path}/a.npz"):
        read_cifar10(tmp_path / "a.npz")


def test_cifar10_keeps_batch_order(write_folder, cifar10_files):
    data = read_cifar10(write_folder(BATCHES, cifar10_files))
    assert data.train_labels.tolist() == [index % 10 for index in range(20)]
    assert data.test_labels.tolist() == [0, 1, 2, 3]
    assert data.classes == tuple(f"class {index}" for index in range(10))


def test_cifar10_rows_are_channel_planes(write_folder, cifar10_files):
    data = read_cifar10(write_folder(BATCHES, cifar10_files))
    row = np.random.default_rng(0).integers(0, 256, (4, 3072), np.uint8)[2]
    assert data.train_images[2, 1, 3, 5] == row[1024 + 3 * 32 + 5]


def test_cifar10_is_the_same_from_every_place(write_folder, write_archive, cifar10_files):
    folder = write_folder(BATCHES, cifar10_files)
    archive = write_archive(f"elsewhere-{ARCHIVE}", BATCHES, cifar10_files)
    home = write_folder("home", {ARCHIVE: archive.read_bytes()})
    expected = read_cifar10(folder).train_images
    for place in (folder.parent, archive, home):
        np.testing.assert_array_equal(read_cifar10(place).train_images, expected)


def test_cifar100_has_fine_labels_and_names(write_archive, cifar100_files):
    data = read_cifar100(write_archive("c.tar.gz", "cifar-100-python", cifar100_files))
    assert data.train_labels.tolist() == [99, 0, 7, 7, 50]
    assert (len(data.classes), data.classes[99]) == (100, "name 99")


def test_cifar10_refuses_an_empty_folder(tmp_path):
    with pytest.raises(DataError, match=f"expected {BATCHES} or {ARCHIVE} at .* got neither"):
        read_cifar10(tmp_path)


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
def test_cifar10_names_a_missing_batch(write_folder, write_archive, cifar10_files, name):
    del cifar10_files[name]
    for place in (
        write_folder(BATCHES, cifar10_files),
        write_archive(ARCHIVE, BATCHES, cifar10_files),
    ):
        with pytest.raises(DataError, match=f"got no {name}; use the complete python version"):
            read_cifar10(place)


def test_cifar10_refuses_cifar100(write_folder, cifar10_files, cifar100_files):
    cifar10_files["data_batch_2"] = cifar100_files["train"]
    with pytest.raises(FormatError, match="whole numbers under 'labels' in .*: data_batch_2, got"):
        read_cifar10(write_folder(BATCHES, cifar10_files))


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({b"labels": [1]}, r"expected an array \[N, 3072\] under 'data' in .* got nothing"),
        ({b"labels": [1], b"data": [1]}, "under 'data' in .*, got list"),
        ({b"labels": [1], b"data": np.zeros((1, 99), np.uint8)}, r"got uint8 \[1, 99\]"),
        ({b"labels": b"1", b"data": np.zeros((1, 3072), np.uint8)}, "'labels' in .* got bytes"),
        ({b"labels": [b"1"], b"data": np.zeros((1, 3072), np.uint8)}, "list of whole numbers"),
    ],
)
def test_cifar10_refuses_a_batch_of_another_form(
    write_folder, cifar10_files, python2_pickle, batch, message
):
    cifar10_files["test_batch"] = python2_pickle(batch)
    with pytest.raises(FormatError, match=message):
        read_cifar10(write_folder(BATCHES, cifar10_files))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, 2], "expected one label for each of 1 images"),
        ([10], "expected labels in 0..9 in cifar10 test_labels, got 10..10"),
        ([-1], "expected labels in 0..65535"),
    ],
)
def test_cifar10_refuses_labels_that_do_not_fit(
    write_folder, cifar10_files, python2_pickle, labels, message
):
    batch = {b"labels": labels, b"data": np.zeros((1, 3072), np.uint8)}
    cifar10_files["test_batch"] = python2_pickle(batch)
    with pytest.raises(DataError, match=message):
        read_cifar10(write_folder(BATCHES, cifar10_files))


def test_cifar10_refuses_names_that_are_no_strings(write_folder, cifar10_files, python2_pickle):
    cifar10_files["batches.meta"] = python2_pickle({b"label_names": [1, 2]})
    with pytest.raises(FormatError, match="expected a list of names under 'label_names'"):
        read_cifar10(write_folder(BATCHES, cifar10_files))


def test_cifar10_refuses_a_pickle_that_runs_commands(write_archive, cifar10_files, tmp_path):
    command = f"touch {tmp_path / 'ran'}".encode()
    text = b"U" + bytes((len(command),)) + command
    cifar10_files["data_batch_1"] = b"\x80\x02cos\nsystem\n" + text + b"\x85R."
    with pytest.raises(FormatError, match="data_batch_1, got the global os.system"):
        read_cifar10(write_archive(ARCHIVE, BATCHES, cifar10_files))
    assert not (tmp_path / "ran").exists()


def test_cifar10_refuses_a_truncated_archive(write_archive, cifar10_files):
    path = write_archive(ARCHIVE, BATCHES, cifar10_files)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(FormatError, match="expected a whole file of its format"):
        read_cifar10(path)


def test_cifar10_refuses_a_truncated_tar(write_archive, cifar10_files):
    path = write_archive(ARCHIVE, BATCHES, cifar10_files)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:20000]))
    with pytest.raises(FormatError, match="unexpected end of data"):
        read_cifar10(path)


def test_cifar10_refuses_what_is_no_archive(write_folder):
    path = write_folder("home", {ARCHIVE: b"<html>not found</html>"}) / ARCHIVE
    with pytest.raises(FormatError, match="Not a gzipped file"):
        read_cifar10(path)


def test_cifar10_refuses_a_large_batch(monkeypatch, write_folder, write_archive, cifar10_files):
    monkeypatch.setattr(cifar, "MAX_PICKLE_BYTES", 5000)
    for place in (
        write_folder(BATCHES, cifar10_files),
        write_archive(ARCHIVE, BATCHES, cifar10_files),
    ):
        with pytest.raises(FormatError, match="expected at most 5000 bytes in .*data_batch_1"):
            read_cifar10(place)


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_cifar10_refuses_an_archive_that_unpacks_beyond_its_bound(tmp_path, kind):
    member = tarfile.TarInfo("anything")
    member.size, member.type = 8 * 2**30, kind
    header = member.tobuf(tarfile.GNU_FORMAT)
    path = tmp_path / ARCHIVE
    path.write_bytes(gzip.compress(header + bytes(2**20)))
    with pytest.raises(FormatError, match=f"expected at most {2**30} unpacked bytes"):
        read_cifar10(path)


def test_cifar10_takes_no_links_from_an_archive(tmp_path, cifar10_files):
    path = tmp_path / ARCHIVE
    with tarfile.open(path, "w:gz") as archive:
        for name in cifar10_files:
            member = tarfile.TarInfo(f"{BATCHES}/{name}")
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(member)
    with pytest.raises(DataError, match="got no data_batch_1, data_batch_2"):
        read_cifar10(path)
