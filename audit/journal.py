"""Parts of an unfinished audit on disk, so that a stopped one goes on where it stood."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import ConfigError, FormatError
from ..core.files import atomic_path, read_json, write_json
from .ledger import SCHEMA

FINGERPRINT = "fingerprint.json"
IDENTITY = b"spikeproof audit"
"""Key of a finished table's metadata, under which its identity stands as JSON."""


def fingerprint(identity: Mapping[str, Any]) -> str:
    """SHA-256 over everything that decides an audit's results."""
    canonical = json.dumps(identity, sort_keys=True, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


PART = b"spikeproof audit part"
"""Key of a part's metadata: its name, and the audit that it belongs to."""


class Journal:
    """A folder with one Parquet file a finished piece of work.

    Args:
        folder: Made where it is absent.
        identity: Everything that decides the results; parts of another one are never used.
        resume: Whether to use the parts that are there.

    Raises:
        ConfigError: If there are parts and `resume` was not asked for, or they belong to another
            audit, or the folder is not one of parts.
    """

    def __init__(self, folder: Path, *, identity: Mapping[str, Any], resume: bool) -> None:
        self.folder = folder
        self._identity = dict(identity)
        if folder.exists():
            self._check(resume=resume)
        else:
            write_json(folder / FINGERPRINT, self._identity)

    def rows(self, name: str, compute: Callable[[], pa.Table]) -> pa.Table:
        """The part called `name`: read where it is there, else computed and written.

        Raises:
            FormatError: If the part is there but is no table of ours, or another part's.
        """
        if self.has(name):
            return self.read(name)
        table = compute()
        write_table(self._path(name), table.replace_schema_metadata({PART: self._mark(name)}))
        return table

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"

    def _mark(self, name: str) -> bytes:
        """What a part carries inside: a file's name says nothing of what is in it."""
        return f"{name} of {fingerprint(self._identity)}".encode()

    def has(self, name: str) -> bool:
        """Whether the part called `name` is there."""
        return self._path(name).exists()

    def read(self, name: str) -> pa.Table:
        """The part called `name`, which is there.

        Raises:
            FormatError: If it is no table of ours, or another part's.
        """
        return _read(self._path(name), self._mark(name))

    def finish(self, name: str, table: pa.Table) -> None:
        """Writes a part and deletes those whose names begin with its own: it holds their rows."""
        write_table(self._path(name), table.replace_schema_metadata({PART: self._mark(name)}))
        for piece in self.folder.glob(f"{name}-*.parquet"):
            piece.unlink(missing_ok=True)

    def discard(self) -> None:
        """Deletes the parts: what they held is in the finished files."""
        shutil.rmtree(self.folder)

    def _check(self, *, resume: bool) -> None:
        known = self.folder / FINGERPRINT
        if not known.is_file():
            raise ConfigError(
                f"expected parts of an audit in {self.folder}, got something else; "
                "move it away or choose another output"
            )
        if not resume:
            raise ConfigError(
                f"expected no unfinished audit in {self.folder}, got one; resume it, or delete "
                "that folder to start anew"
            )
        theirs = read_json(known)
        if theirs != self._identity:
            raise ConfigError(
                f"expected parts of the same audit in {self.folder}, got another "
                f"{', '.join(differences(theirs, self._identity))}; "
                "repeat those options, or delete that folder to start anew"
            )


def write_table(path: Path, table: pa.Table) -> None:
    """Writes Parquet, whole or not at all."""
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)


def sealed(table: pa.Table, identity: Mapping[str, Any]) -> pa.Table:
    """The table with everything that decided it written into its metadata."""
    return table.replace_schema_metadata({IDENTITY: json.dumps(identity, sort_keys=True)})


def identity_of(table: pa.Table) -> dict[str, Any]:
    """What `sealed` wrote.

    Raises:
        KeyError: If nothing did.
    """
    return json.loads((table.schema.metadata or {})[IDENTITY])


def _read(path: Path, mark: bytes) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise FormatError(
            f"expected a part of an audit at {path}, got {error}; delete that file"
        ) from error
    if table.schema != SCHEMA:
        raise FormatError(
            f"expected the columns {', '.join(SCHEMA.names)} in {path}, got "
            f"{', '.join(table.schema.names)}; delete that file"
        )
    found = (table.schema.metadata or {}).get(PART, b"none")
    if found != mark:
        got = found.decode(errors="replace")
        raise FormatError(
            f"expected the part {mark.decode()!r} in {path}, got {got!r}; delete that file"
        )
    return table.replace_schema_metadata(None)


def differences(theirs: Any, ours: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Names of what differs, `config.epsilon`."""
    if not isinstance(theirs, dict):
        return [prefix.rstrip(".") or "fingerprint"]
    found: list[str] = []
    for key in sorted({*theirs, *ours}):
        mine, other = ours.get(key), theirs.get(key)
        if mine == other:
            continue
        if isinstance(mine, Mapping):
            found += differences(other, mine, f"{prefix}{key}.")
        else:
            found.append(f"{prefix}{key}")
    return found
