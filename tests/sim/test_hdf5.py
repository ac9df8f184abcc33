"""Fields of strange HDF5 files: typed, small, in the file, or refused by file and field."""

import h5py
import numpy as np
import pytest

from spikeproof.core.errors import FormatError
from spikeproof.sim.hdf5 import Fields, listed, open_hdf5


@pytest.fixture
def fields(tmp_path):
    """A group with one field of each kind."""
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file["numbers"] = np.arange(6.0).reshape(2, 3)
        file["flag"], file["word"], file["letters"] = True, "word", np.array([b"letters"])
        file["nan"], file["inner/one"] = [1.0, np.nan], 1
        file["soft"] = h5py.SoftLink("/numbers")
        file["empty"] = h5py.Empty("f4")
        file["edges"] = np.array([[b"a", b"b"], [b"c", b"d"]])
        file.create_dataset("pages", (1 << 20,), "S32", chunks=True)
        file.create_dataset("small items", (1, (1 << 27) + 1), "i1", chunks=True)
        file.create_dataset("page", (1,), "S33554432", chunks=True)
        file.create_dataset("large", (1 << 20, 1 << 10), "f8", chunks=True)
    with open_hdf5(tmp_path / "file.h5") as file:
        yield Fields(file, "file.h5")


def test_fields_of_each_kind_are_read(fields):
    np.testing.assert_array_equal(fields.numbers("numbers"), [[0, 1, 2], [3, 4, 5]])
    assert fields.numbers("flag") == 1
    assert (fields.text("word"), fields.text("letters")) == ("word", "letters")
    assert fields.group("inner").numbers("one") == 1
    assert fields.texts("edges").tolist() == [[b"a", b"b"], [b"c", b"d"]]


def test_shapes_are_known_without_reading(fields):
    assert fields.shape("numbers") == (2, 3)
    assert fields.shape("flag") == ()
    assert fields.shape("large") == (1 << 20, 1 << 10)


def test_numbers_that_do_not_fit_in_memory_are_refused(fields, monkeypatch):
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda *given: np.empty(1 << 60, np.int8))
    with pytest.raises(FormatError, match="file.h5/numbers to fit in memory, got Unable to alloc"):
        fields.numbers("numbers")


def test_names_are_known_without_reading(fields):
    assert "numbers" in fields
    assert "other" not in fields
    assert "soft" in fields.names()


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("numbers", "other", "expected file.h5 to hold 'other', got .*flag, inner.*; add the"),
        ("numbers", "inner", "expected file.h5 to hold a dataset 'inner', got a group"),
        ("numbers", "word", "expected numbers in file.h5/word, got text; rewrite"),
        ("numbers", "nan", "expected finite numbers in file.h5/nan, got NaN or infinity"),
        ("numbers", "soft", "expected file.h5/soft to lie in the file, got a link; copy the data"),
        (
            "numbers",
            "large",
            r"at most 134217728 numbers in file.h5/large, got shape \(1048576, 10",
        ),
        (
            "numbers",
            "small items",
            r"at most 134217728 numbers in .*, got shape \(1, 134217729\) of",
        ),
        (
            "numbers",
            "empty",
            "expected file.h5/empty to hold a value, got a dataset that HDF5 call",
        ),
        ("shape", "empty", "expected file.h5/empty to hold a value, got a dataset that HDF5 calls"),
        ("texts", "pages", "at most 16777216 bytes in file.h5/pages, got shape .* of .*S32; make"),
        ("text", "page", "at most 16777216 bytes in file.h5/page, got shape .* of .*S33554432; m"),
        ("texts", "numbers", "expected text in file.h5/numbers, got float64; rewrite"),
        ("text", "numbers", "expected text in file.h5/numbers, got float64"),
        ("group", "numbers", "expected file.h5 to hold a group 'numbers', got a dataset"),
        ("group", "other", "expected file.h5 to hold 'other', got"),
    ],
)
def test_what_does_not_fit_is_refused_by_file_and_field(fields, kind, name, message):
    with pytest.raises(FormatError, match=message):
        getattr(fields, kind)(name)


def test_places_are_named_all_the_way_down(fields):
    with pytest.raises(FormatError, match="expected file.h5/inner to hold 'two', got one; add the"):
        fields.group("inner").numbers("two")


def test_lists_of_names_stay_on_one_short_line():
    assert listed([]) == "nothing"
    assert listed(["a", "b\n"]) == r"a, 'b\n'"
    assert listed(list("abcdefghij")) == "a, b, c, d, e, f, g, h, ..."


@pytest.mark.parametrize("content", [b"", b"text", b"\x89HDF\r\n\x1a\n"])
def test_files_that_are_not_hdf5_are_refused(tmp_path, content):
    (tmp_path / "file.h5").write_bytes(content)
    message = "expected an HDF5 file at .*, got not HDF5, or cut short; pass a complete file"
    with pytest.raises(FormatError, match=message), open_hdf5(tmp_path / "file.h5"):
        pass


def test_folders_and_missing_files_are_refused(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(FormatError, match=", got no file; pass"), open_hdf5(path):
            pass
