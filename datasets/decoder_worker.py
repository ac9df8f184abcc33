"""Decodes event files with foreign libraries, in a process that a damaged file may kill.

Started as a script, so that it imports nothing of spikeproof. A line of JSON in, naming a file, its
kind, where its array goes and how large it may be; a line out, with what was found or an error.
"""

import json
import math
import resource
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

MEMORY = 6 * 2**30
"""Most bytes of address space: a small compressed file cannot ask for more."""


def aedat4(path: str, limit: int) -> tuple[np.ndarray | None, dict[str, Any]]:
    """The first stream of events, by `aedat`."""
    import aedat  # pyright: ignore[reportMissingImports]

    decoder = aedat.Decoder(path)
    streams = decoder.id_to_stream()
    chosen = min((k for k, s in streams.items() if s["type"] == "events"), default=None)
    if chosen is None:
        raise ValueError("no stream of events")
    parts, others, count = [], 0, 0
    for packet in decoder:
        if packet["stream_id"] != chosen:
            others += 1
            continue
        parts.append(packet["events"])
        count += len(parts[-1])
        if count > limit:
            raise ValueError(f"more than {limit} events")
    size = {key: streams[chosen][key] for key in ("height", "width")}
    return (np.concatenate(parts) if parts else None), {**size, "others": others}


def prophesee(encoding: str) -> Callable[[str, int], tuple[np.ndarray | None, dict[str, Any]]]:
    """All events, by expelliarmus."""

    def decode(path: str, limit: int) -> tuple[np.ndarray | None, dict[str, Any]]:
        from expelliarmus import Wizard

        events = Wizard(encoding=encoding).read(path)
        if len(events) > limit:
            raise ValueError(f"more than {limit} events")
        return events, {}

    return decode


def matlab(path: str, limit: int) -> tuple[np.ndarray | None, dict[str, Any]]:
    """The variable `frames`, by SciPy, which a changed byte can crash."""
    from scipy.io import loadmat, whosmat

    shapes = {name: shape for name, shape, _ in whosmat(path)}
    if "frames" not in shapes:
        return None, {"names": sorted(shapes)}
    # A compressed variable may be far larger than its file; a double is MATLAB's usual number.
    if 8 * math.prod(shapes["frames"]) > limit:
        raise ValueError(f"more than {limit} bytes")
    found = loadmat(path, variable_names=["frames"])["frames"]
    if not isinstance(found, np.ndarray) or found.dtype.hasobject:
        raise ValueError("no array of numbers")
    return found, {}


DECODERS = {
    "aedat4": aedat4,
    "mat": matlab,
    **{encoding: prophesee(encoding) for encoding in ("dat", "evt2")},
}


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Writes what a file holds to `out` as `.npy`, and says the rest."""
    array, facts = DECODERS[asked["kind"]](asked["path"], asked["limit"])
    if array is not None:
        np.save(asked["out"], array)
    return facts


def main() -> None:
    """Answers until its input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for line in sys.stdin:
        try:
            said = answer(json.loads(line))
        except BaseException as error:  # noqa: BLE001 - a panic of Rust's is no Exception
            said = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(f"{json.dumps(said)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
