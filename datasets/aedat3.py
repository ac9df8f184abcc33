"""AEDAT 3.1: what DVS128 Gesture was published as, and cAER records."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import FormatError
from .event_bytes import CUT_OFF, comment_lines, read_bytes
from .events import Recording, make_events

VERSION, END = "#!AER-DAT3.1", "#!END-HEADER"
PACKET = struct.Struct("<hhiiiiii")
"""Type, source, bytes an event, place of the time in it, overflows, capacity, number, valid."""
POLARITY, RECORD = 1, 8


@dataclass(frozen=True, kw_only=True)
class _Packet:
    kind: int
    overflows: int
    number: int
    body: bytes


def read_aedat3(path: Path, *, height: int, width: int, truncate: bool = False) -> Recording:
    """Reads the valid polarity events of all packets.

        data = column << 17 | row << 2 | ON << 1 | valid,  time = overflows << 31 | timestamp

    Args:
        path: The file.
        height: Rows of the sensor, which packets do not name.
        width: Its columns.
        truncate: Leave out an incomplete last packet.

    Raises:
        FormatError: If it is no AEDAT 3.1, a packet contradicts itself, the file ends within one,
            or is too long.
        DataError: If it is absent or empty.
    """
    content = read_bytes(path, record=RECORD)
    lines, start = comment_lines(content, path)
    if not lines or not lines[0].startswith(VERSION) or END not in lines:
        found = lines[0] if lines else content[:12]
        raise FormatError(
            f"expected {VERSION!r} and {END!r} at the start of {path}, got {found!r}; convert it"
        )
    data, times, left_out = [], [], {"invalid events": 0, "other events": 0}
    end = start
    for packet in _packets(content, start, path, truncate):
        end += PACKET.size + len(packet.body)
        if packet.kind != POLARITY:
            left_out["other events"] += packet.number
            continue
        words, stamps = np.frombuffer(packet.body, "<u4").reshape(-1, 2).T.astype(np.int64)
        is_valid = (words & 1).astype(bool)
        left_out["invalid events"] += int((~is_valid).sum())
        data.append(words[is_valid])
        times.append(stamps[is_valid] + (packet.overflows << 31))
    left_out[CUT_OFF] = len(content) - end
    words = np.concatenate([np.empty(0, np.int64), *data])
    t = np.concatenate([np.empty(0, np.int64), *times])
    return Recording(
        events=make_events(t, words >> 17 & 0x7FFF, words >> 2 & 0x7FFF, words >> 1 & 1),
        height=height,
        width=width,
        source=str(path),
        left_out={name: n for name, n in left_out.items() if n},
    )


def _packets(content: bytes, start: int, path: Path, truncate: bool) -> Iterator[_Packet]:
    while start < len(content):
        head = content[start : start + PACKET.size]
        if len(head) == PACKET.size:
            kind, _, size, _, overflows, _, number, valid = PACKET.unpack(head)
            if size <= 0 or number < 0 or overflows < 0 or not 0 <= valid <= number:
                raise FormatError(
                    f"expected a packet of events at byte {start} of {path}, got {number} events "
                    f"of {size} bytes, {valid} of them valid; the file is damaged"
                )
            if kind == POLARITY and size != RECORD:
                raise FormatError(
                    f"expected polarity events of {RECORD} bytes at byte {start} of {path}, got "
                    f"{size}; the file is damaged"
                )
            body = content[start + PACKET.size : start + PACKET.size + size * number]
            start += PACKET.size + size * number
            if start <= len(content):
                yield _Packet(kind=kind, overflows=overflows, number=number, body=body)
                continue
        if truncate:
            return
        raise FormatError(
            f"expected whole packets in {path}, got a file that ends within one; copy it again, "
            "or repair the recording to leave it out"
        )
