"""Foreign decoders in a process of their own: some abort theirs over a damaged file."""

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import FormatError, MissingAbilityError
from .events import MAX_EVENTS

WORKER = Path(__file__).with_name("decoder_worker.py")
PATIENCE, SLOWEST = 120.0, 2**20
"""Seconds that a decoder has for any file, and bytes that it then has to decode in a second."""


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
            FormatError: If it could not decode the file, died of it, or did not come to an end.
        """
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "events.npy"
            asked = {"kind": kind, "path": str(path.resolve()), "out": str(out)}
            size = path.stat().st_size if path.is_file() else 0
            said = self._answer(asked | {"limit": limit}, seconds=PATIENCE + size / SLOWEST)
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

    def _answer(self, asked: Mapping[str, Any], *, seconds: float) -> dict[str, Any]:
        process, is_late = self._started(), threading.Event()

        def give_up() -> None:
            is_late.set()
            process.kill()

        watch = threading.Timer(seconds, give_up)
        watch.start()
        try:
            print(json.dumps(asked), file=process.stdin, flush=True)
            line = process.stdout.readline() if process.stdout else ""
        except BrokenPipeError:
            line = ""
        finally:
            watch.cancel()
        if line:
            return json.loads(line)
        self.stop()
        late = f"a decoder that found no end in {seconds:.0f} s"
        return {"error": late if is_late.is_set() else "a decoder that died of it"}

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
