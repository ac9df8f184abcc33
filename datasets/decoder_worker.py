"""Decodes event files with foreign libraries, in a process that a damaged file may kill.

Started as a script, so that it imports nothing of spikeproof. A line of JSON in, naming a file, its
kind, where its events go and how many there may be; a line out, with what was found or an error.
"""

import json
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


DECODERS = {
    "aedat4": aedat4,
    **{encoding: prophesee(encoding) for encoding in ("dat", "evt2")},
}


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Writes the events of a file to `out` as `.npy`, and says how many there are."""
    events, facts = DECODERS[asked["kind"]](asked["path"], asked["limit"])
    if events is not None:
        np.save(asked["out"], events)
    return {**facts, "events": 0 if events is None else len(events)}


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
