"""AEDAT 4, today's CIFAR10-DVS among it: read by `aedat`, written by dv-processing."""

import tempfile
from importlib import import_module
from pathlib import Path

import numpy as np

from ..core.errors import DataError, FormatError
from ..core.files import atomic_path
from .bounded import reading
from .events import Recording, make_events
from .isolated import DECODER, require

MAGIC = b"#!AER-DAT4.0\r\n"
MAX_FILE = 2**30
"""Packets are compressed, so a file's size bounds its events only loosely; the decoder's memory
has a limit as well."""


def read_aedat4(path: Path) -> Recording:
    """Reads the first stream of events; the file's header names the sensor's size.

    Raises:
        FormatError: If it is no AEDAT 4, damaged, too long, or has no stream of events.
        DataError: If it is absent or cannot be read.
        MissingAbilityError: If the package `aedat` is not installed.
    """
    require("aedat", "aedat", for_what=".aedat4 files")
    with reading(path):
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
    if head != MAGIC or size > MAX_FILE:
        raise FormatError(
            f"expected {MAGIC!r} at the start of {path} and at most {MAX_FILE} bytes, got {head!r} "
            f"and {size}; convert or cut the recording"
        )
    found, said = DECODER.decode("aedat4", path)
    if found is None:
        raise DataError(f"expected events in {path}, got none; leave the file out")
    t, x, y, on = (found[name] for name in found.dtype.names or ())
    return Recording(
        events=make_events(t.astype(np.int64), x, y, on),
        height=int(said["height"]),
        width=int(said["width"]),
        source=str(path),
        left_out={"packets of other streams": said["others"]} if said["others"] else {},
    )


def write_aedat4(path: Path, recording: Recording, *, camera: str) -> None:
    """Writes a recording as one stream of events, whole or not at all.

    Args:
        path: Where.
        recording: In order of time.
        camera: What the header calls it.

    Raises:
        DataError: If time runs backwards.
        MissingAbilityError: If dv-processing is not installed.
    """
    require("dv-processing", "dv_processing", for_what="writing .aedat4 files")
    dv, events = import_module("dv_processing"), recording.events
    if (np.diff(events["t"]) < 0).any():
        raise DataError(f"expected times that never fall for {path}, got some; repair it first")
    store = dv.EventStore()
    for t, x, y, p in events.tolist():
        store.push_back(t, x, y, bool(p))
    options = dv.io.MonoCameraWriter.EventOnlyConfig(camera, (recording.width, recording.height))
    with atomic_path(path) as temporary, tempfile.TemporaryDirectory(dir=path.parent) as folder:
        # The writer insists on the suffix, and finishes the file when it is deleted.
        named = Path(folder) / "events.aedat4"
        writer = dv.io.MonoCameraWriter(str(named), options)
        writer.writeEvents(store)
        del writer
        named.replace(temporary)
