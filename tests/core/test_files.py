import errno
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeproof.core.errors import ConfigError, FormatError
from spikeproof.core.files import (
    atomic_folder,
    atomic_path,
    check_writable,
    read_json,
    sha256,
    write_json,
    write_text,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class HalfWayError(Exception):
    """Stands for whatever ends a write half-way."""


def test_atomic_path_creates_missing_folders(tmp_path):
    with atomic_path(tmp_path / "a" / "b.txt") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "a" / "b.txt").read_text() == "whole"


def test_atomic_path_keeps_the_suffix_for_writers_that_look_at_it(tmp_path):
    with atomic_path(tmp_path / "golden.npz") as temporary:
        assert temporary.suffix == ".npz"


def test_atomic_path_keeps_the_old_file_when_the_write_fails(tmp_path):
    path = tmp_path / "kept.txt"
    path.write_text("old")
    with pytest.raises(HalfWayError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise HalfWayError
    assert [found.name for found in tmp_path.iterdir()] == ["kept.txt"]
    assert path.read_text() == "old"


def test_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    with (
        pytest.raises(ConfigError, match="expected a writable output .*full.txt, got No space"),
        atomic_path(tmp_path / "full.txt") as temporary,
    ):
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_ends_a_folder_likewise(tmp_path):
    with (
        pytest.raises(ConfigError, match="expected a writable output .*full, got No space"),
        atomic_folder(tmp_path / "full"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_atomic_path_writes_to_what_a_link_names(tmp_path):
    (tmp_path / "link.txt").symlink_to(tmp_path / "target.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "target.txt").read_text() == "new"


def test_a_device_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="expected a file name, got the device .*pipe; name a"):
        write_text(tmp_path / "pipe", "text")
    assert (tmp_path / "pipe").is_fifo()


def test_read_json_does_not_read_devices():
    with pytest.raises(FormatError, match="got no file, or one of more than"):
        read_json(Path("/dev/zero"))


def test_atomic_path_follows_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "file.txt", "")
    finally:
        os.umask(before)
    assert (tmp_path / "file.txt").stat().st_mode & 0o777 == 0o640


def test_atomic_path_refuses_a_folder(tmp_path):
    with (
        pytest.raises(ConfigError, match="expected a file name, got the folder"),
        atomic_path(tmp_path),
    ):
        pass


def test_atomic_path_refuses_a_parent_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigError, match="expected a writable output .* choose another path"),
        atomic_path(tmp_path / "file" / "out.json"),
    ):
        pass


def test_a_writable_path_is_left_as_it_was(tmp_path):
    check_writable(tmp_path / "new" / "a.json")
    assert list((tmp_path / "new").iterdir()) == []


def test_check_writable_names_the_path_that_was_given(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"expected a writable output .*file/a.json, got "):
        check_writable(tmp_path / "file" / "a.json")


def test_atomic_folder_appears_whole(tmp_path):
    with atomic_folder(tmp_path / "bundle") as temporary:
        (temporary / "model.net").write_bytes(b"net")
        assert not (tmp_path / "bundle").exists()
    assert (tmp_path / "bundle" / "model.net").read_bytes() == b"net"


def test_atomic_folder_replaces_what_was_there(tmp_path):
    for name in ("first", "second"):
        with atomic_folder(tmp_path / "bundle", marker="manifest.json") as temporary:
            (temporary / name).touch()
            (temporary / "manifest.json").touch()
    assert {found.name for found in tmp_path.rglob("*")} == {"bundle", "manifest.json", "second"}


@pytest.mark.parametrize("name", ["results", "results/../results", "."])
def test_atomic_folder_refuses_to_replace_other_peoples_files(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "thesis.txt").write_text("kept")
    with (
        pytest.raises(ConfigError, match="expected a new or empty folder, got .* choose another"),
        atomic_folder(Path(name), marker="manifest.json"),
    ):
        pass
    assert (tmp_path / "results" / "thesis.txt").read_text() == "kept"


def test_atomic_folder_fills_an_empty_folder(tmp_path):
    (tmp_path / "bundle").mkdir()
    with atomic_folder(tmp_path / "bundle") as temporary:
        (temporary / "new").touch()
    assert [found.name for found in tmp_path.rglob("*")] == ["bundle", "new"]


def test_atomic_folder_keeps_the_old_folder_when_the_write_fails(tmp_path):
    with atomic_folder(tmp_path / "bundle") as temporary:
        (temporary / "old").touch()
    with (
        pytest.raises(HalfWayError),
        atomic_folder(tmp_path / "bundle", marker="old") as temporary,
    ):
        (temporary / "new").touch()
        raise HalfWayError
    assert [found.name for found in tmp_path.rglob("*")] == ["bundle", "old"]


def test_atomic_folder_refuses_a_file(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigError, match="expected a folder name, got the file"),
        atomic_folder(tmp_path / "file"),
    ):
        pass


def test_atomic_folder_refuses_a_parent_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigError, match="expected a writable output"),
        atomic_folder(tmp_path / "file" / "bundle"),
    ):
        pass


@given(value=JSON)
def test_json_comes_back_equal(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("json") / "value.json"
    write_json(path, value)
    assert read_json(path) == value


def test_json_bytes_do_not_depend_on_insertion_order(tmp_path):
    write_json(tmp_path / "a.json", {"x": 1, "y": 2})
    write_json(tmp_path / "b.json", {"y": 2, "x": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_write_json_refuses_nan_and_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "nan.json", {"accuracy": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[" * 100_000, b"1" * 10_000, b"\xff\xfe", b"{'a': 1}"]
)
def test_read_json_refuses_what_is_not_json(tmp_path, content):
    (tmp_path / "bad.json").write_bytes(content)
    with pytest.raises(FormatError, match="expected a JSON file at .*bad.json, got"):
        read_json(tmp_path / "bad.json")


def test_read_json_refuses_a_missing_file(tmp_path):
    with pytest.raises(FormatError, match="pass a file that spikeproof wrote"):
        read_json(tmp_path / "missing.json")


def test_sha256_is_that_of_the_bytes(tmp_path):
    write_text(tmp_path / "text", "λ")
    assert sha256(tmp_path / "text") == hashlib.sha256("λ".encode()).hexdigest()
