"""The file that says of a folder that its recordings are simulated."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import FormatError
from ..core.files import read_json

SIMULATION = "SIMULATED.json"
"""Lies beside the folders of the classes; its absence is what tells a camera's recordings."""
FORMAT = "spikeproof simulated recordings 1"
SAID = "Simulated by spikeproof: a model of a DVS128 before a moving image, not a camera"
"""Stands in the header of every file, where it outlives the folder."""
CAMERA = "DVS128_simulated"


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What readers need of it: a name that says it, and the words for the classes."""

    name: str
    classes: tuple[str, ...]


def read_simulation(folder: Path) -> Simulation | None:
    """What a folder says of itself; None if it does not say that it is simulated.

    Raises:
        FormatError: If the file is damaged or of another version.
    """
    path = folder / SIMULATION
    if not path.exists():
        return None
    said: Any = read_json(path)
    found = said if isinstance(said, dict) else {}
    name, classes = found.get("name", ""), found.get("classes", [])
    is_whole = isinstance(name, str) and name and isinstance(classes, list) and classes
    if found.get("format") != FORMAT or not is_whole:
        raise FormatError(
            f"expected format {FORMAT!r}, a name and classes in {path}, got "
            f"{found.get('format')!r}; simulate the recordings again"
        )
    return Simulation(name=str(name), classes=tuple(str(each) for each in classes))
