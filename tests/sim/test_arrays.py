import contextlib
import re
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeproof.core.errors import ConfigError, FormatError
from spikeproof.core.files import sha256
from spikeproof.sim.arrays import read_arrays, write_arrays


def test_arrays_read_back_as_written(tmp_path):
    arrays = {"x": np.arange(6).reshape(2, 3), "name": np.array(["a", "bc"]), "steps": 4}
    write_arrays(tmp_path / "a.npz", arrays)
    found = read_arrays(tmp_path / "a.npz")
    assert list(found) == list(arrays)
    for name, value in arrays.items():
        np.testing.assert_array_equal(found[name], value)


def test_equal_arrays_give_equal_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        write_arrays(tmp_path / name, {"x": np.arange(1000)})
    assert sha256(tmp_path / "a.npz") == sha256(tmp_path / "b.npz")


def test_failing_write_leaves_nothing(tmp_path):
    class Broken:
        def __array__(self, *args, **options):
            raise RuntimeError("no array")

    with pytest.raises(RuntimeError, match="no array"):
        write_arrays(tmp_path / "a.npz", {"x": np.ones(3), "y": Broken()})
    assert list(tmp_path.iterdir()) == []


def test_output_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="expected a writable output"):
        write_arrays(tmp_path / "file" / "a.npz", {})


def truncated(path):
    np.savez(path, x=np.arange(10000))
    path.write_bytes(path.read_bytes()[:-2000])


def damaged(path):
    np.savez_compressed(path, x=np.arange(10000))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def single(path):
    with path.open("wb") as stream:
        np.save(stream, np.arange(3))


def archive_of_text(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", "three")


OTHER = "another format, or a file that is cut short"
SPOILT = {
    "absent": (lambda path: None, "no file"),
    "a folder": (lambda path: path.mkdir(), "no file"),
    "no zip": (lambda path: path.write_bytes(b"PK not really"), OTHER),
    "empty": (lambda path: path.write_bytes(b""), OTHER),
    "text": (lambda path: path.write_text("x = 3"), OTHER),
    "a single array": (single, OTHER),
    "truncated": (truncated, OTHER),
    "damaged": (damaged, ".+"),
    "objects": (
        lambda path: np.savez(path, x=np.array([{}, None], dtype=object)),
        "an array that is damaged or holds Python objects",
    ),
    "an archive of text": (archive_of_text, "'x', which is no array"),
}


@given(st.integers(0, 2**32), st.integers(1, 255))
def test_any_changed_byte_is_refused_or_harmless(tmp_path_factory, place, change):
    path = tmp_path_factory.mktemp("flipped") / "a.npz"
    write_arrays(path, {"x": np.arange(30.0), "steps": 3})
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= change
    path.write_bytes(content)
    with contextlib.suppress(FormatError):
        assert all(isinstance(array, np.ndarray) for array in read_arrays(path).values())


@pytest.mark.parametrize("kind", SPOILT)
def test_other_files_are_refused(tmp_path, kind):
    path = tmp_path / "a.npz"
    make, found = SPOILT[kind]
    make(path)
    message = f"expected an npz file of plain arrays at {re.escape(str(path))}, got {found}; write"
    with pytest.raises(FormatError, match=message) as raised:
        read_arrays(path)
    assert "\n" not in str(raised.value)
    assert "pickle" not in str(raised.value)
