"""Files that are there whole or not at all: write under a temporary name, then rename."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import ConfigError, FormatError

LONGEST_JSON = 1 << 28


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; renames it onto `path` when the block succeeds.

    Raises:
        ConfigError: If the folder cannot be created or written to, the disk is full, or `path` is
            no ordinary file.
    """
    # Resolved, because a link is not what is meant to be replaced.
    path = Path(path).resolve()
    temporary = _temporary_beside(path)
    try:
        with _room_for(path):
            yield temporary
            # mkstemp makes files private; what a user writes should follow their umask.
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, *, marker: str | None = None) -> Iterator[Path]:
    """Yields a temporary folder beside `path`; puts it in place of `path` when the block succeeds.

    Args:
        path: Where the folder goes. One that is there is replaced only if it is empty or ours.
        marker: The file that tells a folder of ours, `manifest.json` for a bundle.

    Raises:
        ConfigError: If `path` is a file or a folder of somebody else's, or cannot be written to.
    """
    # Resolved, because "." has no name and a link is not what is meant to be replaced.
    path = Path(path).resolve()
    check_replaceable(path, marker)
    with _room_for(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        with _room_for(path):
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            aside = temporary.with_name(f"{temporary.name}.old")
            if path.exists():
                path.replace(aside)
            temporary.replace(path)
            shutil.rmtree(aside, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes bytes, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Writes JSON with sorted keys, so that equal values give equal bytes."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        FormatError: If the file is absent, not UTF-8 or not JSON.
    """
    try:
        _check_size(Path(path))
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FormatError(
            f"expected a JSON file at {path}, got {error}; pass a file that spikeproof wrote"
        ) from error


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_writable(path: Path) -> None:
    """Finds out before long work whether its output can be written.

    Raises:
        ConfigError: If the folder cannot be created or written to.
    """
    _temporary_beside(Path(path)).unlink()


def check_replaceable(path: Path, marker: str | None) -> None:
    """Refuses to replace what a mistyped path could name: a file, or a folder of other things.

    Args:
        path: Where a folder is to go.
        marker: The file that tells a folder of ours; None where none is replaced.

    Raises:
        ConfigError: If there is something else.
    """
    if not path.exists():
        return
    if not path.is_dir():
        raise ConfigError(f"expected a folder name, got the file {path}; choose another path")
    ours = marker is not None and (path / marker).is_file()
    if not ours and any(path.iterdir()):
        raise ConfigError(
            f"expected a new or empty folder, got {path} with other files; choose another path"
        )


def _temporary_beside(path: Path) -> Path:
    """An empty file with a name of its own in the folder of `path`, which is made."""
    if path.is_dir():
        raise ConfigError(f"expected a file name, got the folder {path}; name a file")
    if path.exists() and not path.is_file():
        raise ConfigError(f"expected a file name, got the device {path}; name a file")
    with _room_for(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix
        )
    os.close(handle)
    return Path(name)


@contextmanager
def _room_for(path: Path) -> Iterator[None]:
    """Says of which output the system refused a part."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"expected a writable output {path}, got {error.strerror or error}; make room, or "
            f"choose another path"
        ) from error


def _check_size(path: Path) -> None:
    """Refuses what would fill the memory: devices, and files that no JSON of ours is as long as."""
    if path.exists() and not (path.is_file() and path.stat().st_size <= LONGEST_JSON):
        raise ValueError(f"no file, or one of more than {LONGEST_JSON} bytes")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
