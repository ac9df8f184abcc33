"""A bundle: everything needed to run a deployed network and to check that it runs right."""

import hashlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import FormatError, NotEqualError
from ..core.files import atomic_folder, read_json, sha256, write_bytes, write_json, write_text
from ..core.record import versions
from ..export.c99.generate import SOURCE
from ..sim.graph.meta import parse_metadata
from ..sim.netx.write import why_not_netx, write_netx
from ..sim.program import Program
from ..sim.program_file import read_program, write_program
from .golden import Golden, write_golden
from .licences import LICENCE_FILE

NIR, ONNX, NET, PROGRAM, CHIP, MANIFEST, SUMS = (
    "model.nir",
    "model.onnx",
    "model.net",
    "program.h5",
    "chip.json",
    "manifest.json",
    "SHA256SUMS",
)
LICENCE, LICENCES = "LICENSE", "licences.json"
AUDIT, REPORT = "audit.json", "report.html"
EVIDENCE = (AUDIT, REPORT)
"""What may be sealed into a bundle after it was made."""
STATED = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<name>[^\n]+)\n")
"""A line of the sums, as `sha256sum --check` reads it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Bundle:
    """A bundle on disk whose files agree with their hashes.

    Args:
        path: Its folder.
        program: The deployed network.
        manifest: How it was made.
    """

    path: Path
    program: Program
    manifest: dict[str, Any]

    @property
    def network(self) -> Path | None:
        """The `.net` file; None where the program is a graph that no such file can hold."""
        return None if why_not_netx(self.program) else self.path / NET

    @property
    def onnx(self) -> Path | None:
        """The integers as an ONNX file; None where deploy was not asked for one."""
        path = self.path / ONNX
        return path if path.is_file() else None

    @property
    def has_c99(self) -> bool:
        """Whether it holds the integers as C, too."""
        return (self.path / SOURCE).is_file()

    @property
    def nir(self) -> Path:
        """The float network it was made from."""
        return self.path / NIR

    @property
    def metadata(self) -> dict[str, Any]:
        """How that network is run: its file may lack what deploy was given."""
        return parse_metadata(self.manifest["metadata"])


def write_bundle(
    folder: Path,
    *,
    nir_file: Path,
    program: Program,
    found: Golden,
    chip: dict[str, object],
    manifest: dict[str, object],
    runtimes: Mapping[str, bytes],
    licences: Mapping[str, object],
) -> None:
    """Fills an empty folder and seals it; equal inputs give equal bytes.

    A program with branches has no `.net` file: the manifest says why. `runtimes` are files by
    name that run the integers elsewhere: ONNX, C99. `licences` say under what each part stands.
    """
    shutil.copyfile(nir_file, folder / NIR)
    without_net = why_not_netx(program)
    if not without_net:
        write_netx(folder / NET, program)
    write_program(folder / PROGRAM, program)
    write_golden(folder, program, found)
    for name, content in runtimes.items():
        write_bytes(folder / name, content)
    write_json(folder / CHIP, chip)
    shutil.copyfile(LICENCE_FILE, folder / LICENCE)
    write_json(folder / LICENCES, dict(licences))
    stated = {"without_net": without_net or None, "versions": versions()}
    write_json(folder / MANIFEST, manifest | stated)
    seal(folder)


def seal(folder: Path) -> None:
    """Writes the hashes of every other file of a bundle."""
    lines = [f"{sha256(path)}  {path.name}" for path in _content(folder)]
    write_text(folder / SUMS, "\n".join(lines) + "\n")


def identity(folder: Path) -> str:
    """SHA-256 that an audit names a bundle by: of its hashes, without evidence sealed in later."""
    lines = [f"{digest}  {name}\n" for name, digest in _stated(folder).items()]
    kept = [line for line in lines if line.rstrip("\n").partition("  ")[2] not in EVIDENCE]
    return hashlib.sha256("".join(kept).encode("utf-8")).hexdigest()


def add_evidence(folder: Path, files: Mapping[str, bytes]) -> None:
    """Seals `EVIDENCE` into a bundle, all of it or nothing.

    Raises:
        FormatError: If the folder is no bundle.
        NotEqualError: If the bundle was changed, or the audit is of another one.
    """
    check_sums(folder)
    with atomic_folder(folder, marker=SUMS) as whole:
        shutil.copytree(folder, whole, dirs_exist_ok=True)
        for name, content in files.items():
            write_bytes(whole / name, content)
        seal(whole)
        require_own_audit(whole)


def require_own_audit(folder: Path) -> None:
    """Refuses a sealed audit of another bundle.

    Raises:
        NotEqualError: If it names another one.
    """
    found, own = read_json(folder / AUDIT), identity(folder)
    context = found.get("context") if isinstance(found, dict) else None
    named = context.get("bundle_sha256", "none") if isinstance(context, dict) else "none"
    if named != own:
        raise NotEqualError(
            f"expected {AUDIT} to be an audit of this bundle ({own[:12]}), got one of "
            f"{str(named)[:12]}; audit this bundle"
        )


def read_bundle(folder: Path) -> Bundle:
    """Opens a bundle whose every byte is as it was sealed.

    Raises:
        FormatError: If the folder is no bundle.
        NotEqualError: If a file was changed, added or taken away, naming it.
    """
    check_sums(folder)
    return Bundle(
        path=folder,
        program=read_program(folder / PROGRAM),
        manifest=read_json(folder / MANIFEST),
    )


def is_bundle(path: Path) -> bool:
    """Whether a path looks like a bundle's folder."""
    return (path / SUMS).is_file()


def check_sums(folder: Path) -> int:
    """Compares every file with its hash; returns how many there are.

    Raises:
        FormatError: If the folder is no bundle.
        NotEqualError: Naming the first file that differs, is missing or is not listed.
    """
    stated = _stated(folder)
    found = {path.name: path for path in _content(folder)}
    for name in sorted(stated.keys() | found.keys()):
        if name not in found:
            raise NotEqualError(
                f"expected {name} in {folder}, got no such file, which {SUMS} lists; deploy again"
            )
        if name not in stated:
            raise NotEqualError(
                f"expected only sealed files in {folder}, got {name}, which {SUMS} does not list; "
                "remove it or deploy again"
            )
        if not found[name].is_file() or sha256(found[name]) != stated[name]:
            raise NotEqualError(
                f"expected {name} in {folder} as it was sealed, got other bytes than {SUMS} "
                "states; deploy again"
            )
    return len(stated)


def _content(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name != SUMS)


def _stated(folder: Path) -> dict[str, str]:
    try:
        # Bytes: in text mode, and to splitlines, more than a newline ends a line.
        text = (folder / SUMS).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(
            f"expected a bundle at {folder}, got no readable {SUMS}; pass a folder of deploy's"
        ) from error
    stated = {}
    for line in filter(None, re.split(r"(?<=\n)", text)):
        found = STATED.fullmatch(line)
        if found is None or Path(found["name"]).name != found["name"]:
            raise NotEqualError(
                f"expected {SUMS} in {folder} to hold a hash and a name a line, got {line[:80]!r}; "
                f"deploy again"
            )
        stated[found["name"]] = found["digest"]
    if PROGRAM not in stated:
        raise FormatError(f"expected {SUMS} in {folder} to list {PROGRAM}, got none; deploy again")
    return stated
