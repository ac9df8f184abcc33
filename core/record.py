"""What every result is written with: versions, commit and seed."""

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from .files import write_json

PACKAGES = ("numpy", "torch", "norse", "nir", "lava-nc", "lava-dl", "lightning-fabric", "h5py")


def versions() -> dict[str, str]:
    """Versions of Python, spikeproof and the libraries that decide results, where installed.

    Beside them the number of threads, where it is set: sums in float depend on it.
    """
    return dict(_versions())


def write_record(out: Path, *, command: str, seed: int, options: Mapping[str, Any]) -> Path:
    """Writes how one file came to be, beside it: `model.nir.config.json` for `model.nir`.

    Args:
        out: The file.
        command: What made it.
        seed: Of every random draw.
        options: Everything else that was chosen; paths as they were given.

    Returns:
        Where it was written.
    """
    path = out.with_name(f"{out.name}.config.json")
    plain = {
        name: str(value) if isinstance(value, Path) else value for name, value in options.items()
    }
    stated = {"command": command, "output": out.name, "seed": seed, "options": plain}
    write_json(path, stated | {"versions": versions()})
    return path


@cache
def _versions() -> dict[str, str]:
    from .. import __version__

    found = {"python": platform.python_version(), "spikeproof": __version__}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    if threads := os.environ.get("OMP_NUM_THREADS"):
        found["threads"] = threads
    commit = _git("rev-parse", "--short=12", "HEAD")
    if commit:
        found["commit"] = commit + ("-dirty" if _git("status", "--porcelain", "-uno") else "")
    return found


def _git(*arguments: str) -> str:
    """Output of git in this package's folder, empty where it is not a checkout of spikeproof."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return ""
    command: Sequence[str] = ("git", "-C", str(root), *arguments)
    # A hook runs with GIT_DIR and more set, which would point git at another repository.
    environment = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
