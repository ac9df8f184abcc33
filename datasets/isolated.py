"""Foreign decoders in a process of their own: some abort theirs over a damaged file."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import FormatError, MissingAbilityError
from .events import MAX_EVENTS

WORKER = Path(__file__).with_name("decoder_worker.py")


class Decoder:
    """A process that decodes files, started at the first one and again after it died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def decode(
        self, kind: str, path: Path, *, limit: int = MAX_EVENTS
    ) -> tuple[np.ndarray | None, Mapping[str, Any]]:
        """What a file holds in the library's own fields, None if nothing, and what else it says.

        Args:
            kind: A key of the worker's `DECODERS`.
            path: The file.
            limit: Most events, or bytes of an array.

        Raises:
            FormatError: If it could not decode the file, or died of it.
        """
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "events.npy"
            asked = {"kind": kind, "path": str(path.resolve()), "out": str(out)}
            said = self._answer(asked | {"limit": limit})
            if "error" in said:
                raise FormatError(
                    f"expected an undamaged {kind} file at {path}, got "
                    f"{' '.join(said['error'].split())}; copy it again"
                )
            return (np.load(out) if out.is_file() else None), said

    def stop(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        process = self._started()
        try:
            print(json.dumps(asked), file=process.stdin, flush=True)
            line = process.stdout.readline() if process.stdout else ""
        except BrokenPipeError:
            line = ""
        if line:
            return json.loads(line)
        self.stop()
        return {"error": "a decoder that died of it"}

    def _started(self) -> "subprocess.Popen[str]":
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # A panic prints a page, which says less than our line does.
                stderr=subprocess.DEVNULL,
                text=True,
            )
        return self._process


DECODER = Decoder()
"""This process's; it ends with its input, so with this process."""


def require(package: str, module: str, *, for_what: str) -> None:
    """Asks for a package that decodes or encodes.

    Raises:
        MissingAbilityError: If it is not installed.
    """
    if find_spec(module) is None:
        raise MissingAbilityError(
            f"expected the package {package!r} for {for_what}, got none; install spikeproof[events]"
        )
