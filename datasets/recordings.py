"""Any recording of an event camera by the ending of its name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..core.choice import chosen
from ..core.errors import FormatError
from .aedat2 import VERSION as AEDAT2
from .aedat2 import read_aedat2
from .aedat3 import VERSION as AEDAT3
from .aedat3 import read_aedat3
from .aedat4 import read_aedat4
from .bin_events import read_bin
from .bounded import reading
from .event_arrays import read_event_array
from .events import Recording, check, repair
from .prophesee import read_prophesee


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """Rows and columns of a sensor, for files that do not name them."""

    height: int
    width: int


DVS128 = Sensor(height=128, width=128)

Reader = Callable[[Path, Sensor, bool], Recording]
"""Reads a file; the last argument leaves out what is incomplete at its end."""


def read_recording(
    path: Path, *, sensor: Sensor = DVS128, mend: bool = False
) -> tuple[Recording, dict[str, int]]:
    """Reads a recording and checks it.

    Args:
        path: Ends in one of `READERS`.
        sensor: Where the file does not name it.
        mend: Leave out an incomplete end and what are no events of a pixel, and sort by time,
            instead of refusing them.

    Returns:
        The recording, and what was left out or mended, by kind.

    Raises:
        FormatError: If the file is damaged, truncated or foreign.
        DataError: If it is absent, empty, or holds what no sensor records.
        MissingAbilityError: If the package that decodes it is not installed.
    """
    reader = chosen(READERS, path.suffix.lower(), what="an ending of a recording")
    recording = reader(path, sensor, mend)
    if not mend:
        return check(recording), dict(recording.left_out)
    mended, counts = repair(recording)
    return mended, {**recording.left_out, **counts}


def _aedat(path: Path, sensor: Sensor, mend: bool) -> Recording:
    """`.aedat` is the ending of both versions."""
    with reading(path), path.open("rb") as file:
        head = file.read(len(AEDAT3)).decode("latin-1")
    if head == AEDAT3:
        return read_aedat3(path, height=sensor.height, width=sensor.width, truncate=mend)
    if head != AEDAT2:
        raise FormatError(
            f"expected {AEDAT2!r} or {AEDAT3!r} at the start of {path}, got {head!r}; convert it"
        )
    return read_aedat2(path, truncate=mend)


def _bin(path: Path, sensor: Sensor, mend: bool) -> Recording:
    return read_bin(path, height=sensor.height, width=sensor.width, truncate=mend)


def _prophesee(path: Path, sensor: Sensor, mend: bool) -> Recording:
    return read_prophesee(path, height=sensor.height, width=sensor.width, truncate=mend)


def _array(path: Path, sensor: Sensor, mend: bool) -> Recording:
    del mend  # what NumPy cannot load whole has no size to cut it to
    return read_event_array(path, height=sensor.height, width=sensor.width)


READERS: dict[str, Reader] = {
    ".aedat": _aedat,
    ".aedat4": lambda path, _sensor, _mend: read_aedat4(path),
    ".bin": _bin,
    ".npy": _array,
    ".dat": _prophesee,
    ".raw": _prophesee,
}
"""By ending; a new format is a file and a line here."""
