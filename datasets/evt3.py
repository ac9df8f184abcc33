"""EVT 3.0, Prophesee's words of 16 bits: what they say is relative to the words before them.

Decoded here, because expelliarmus counts a falling low part of the time as an overflow even where
the high part has risen before it, so that times run ahead.
"""

import numpy as np
from jaxtyping import Int64, Shaped, UInt16

from ..core.errors import FormatError
from .events import MAX_EVENTS, make_events

ADDR_Y, ADDR_X, BASE_X, VECTOR_12, VECTOR_8, TIME_LOW, TIME_HIGH = 0, 2, 3, 4, 5, 6, 8
WIDTHS = {VECTOR_12: 12, VECTOR_8: 8}
TIME_BITS = 12
STATELESS = "events before the first row or time"


def decode_evt3(
    words: UInt16[np.ndarray, " W"], *, source: str
) -> tuple[Shaped[np.ndarray, " N"], dict[str, int]]:
    """Events of a stream, and by kind what was left out of it.

        word = kind << 12 | payload,  time = high << 12 | low,  x = payload mod 2¹¹ or base + place

    A rise of the high part sets the low one to 0; a fall is an overflow of the 24 bits. Format:
    docs.prophesee.ai, "EVT 3.0 Format".

    Args:
        words: Of the stream, behind the header.
        source: What messages call it.

    Raises:
        FormatError: If it holds more than `MAX_EVENTS` events.
    """
    kind, payload = words >> TIME_BITS, words & 0xFFF
    singles, vectors = np.flatnonzero(kind == ADDR_X), np.flatnonzero(np.isin(kind, [*WIDTHS]))
    found = len(singles) + int(np.bitwise_count(_valid(kind, payload, vectors)).sum())
    if found > MAX_EVENTS:
        raise FormatError(f"expected at most {MAX_EVENTS} events in {source}, got {found}; cut it")
    at, x, p = _addresses(kind, payload, singles, vectors)
    rows = np.flatnonzero(kind == ADDR_Y)
    row = np.searchsorted(rows, at) - 1
    t = _times(kind, payload, at)
    is_known = (row >= 0) & (t >= 0) & (x >= 0)
    y = payload[rows[row[is_known]]] & 0x7FF
    left_out = {STATELESS: int((~is_known).sum())}
    events = make_events(t[is_known], x[is_known], y, p[is_known])
    return events, {name: n for name, n in left_out.items() if n}


def _valid(kind: np.ndarray, payload: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The bits of vectors that stand for events."""
    return np.where(kind[vectors] == VECTOR_8, payload[vectors] & 0xFF, payload[vectors])


def _addresses(
    kind: np.ndarray, payload: np.ndarray, singles: np.ndarray, vectors: np.ndarray
) -> tuple[Int64[np.ndarray, " N"], Int64[np.ndarray, " N"], Int64[np.ndarray, " N"]]:
    """Place of its word, column and polarity of each event; column -1 where no base came before."""
    bits = _valid(kind, payload, vectors)[:, None] >> np.arange(max(WIDTHS.values())) & 1
    of_vector, bit = np.nonzero(bits)
    bases = np.flatnonzero(kind == BASE_X)
    base = np.searchsorted(bases, vectors) - 1
    widths = np.array([WIDTHS[each] for each in kind[vectors].tolist()], dtype=np.int64)
    passed = np.concatenate([[0], np.cumsum(widths)])  # columns, by all vectors before each
    first = np.searchsorted(vectors, bases)  # of the vectors behind each base
    said = payload[bases[base]].astype(np.int64) if len(bases) else np.zeros(len(vectors), np.int64)
    start = (said & 0x7FF) + passed[:-1] - (passed[first[base]] if len(bases) else 0)
    start[base < 0] = -max(WIDTHS.values())
    single = payload[singles].astype(np.int64)
    at = np.concatenate([singles, vectors[of_vector]])
    x = np.concatenate([single & 0x7FF, start[of_vector] + bit])
    p = np.concatenate([single >> 11, said[of_vector] >> 11])
    order = np.argsort(at, kind="stable")
    return at[order], x[order], p[order]


def _times(
    kind: np.ndarray, payload: np.ndarray, at: Int64[np.ndarray, " N"]
) -> Int64[np.ndarray, " N"]:
    """Microseconds at these words; -1 before the first high part."""
    highs, lows = np.flatnonzero(kind == TIME_HIGH), np.flatnonzero(kind == TIME_LOW)
    if not len(highs):
        return np.full(len(at), -1, dtype=np.int64)
    high = payload[highs].astype(np.int64)
    is_new = np.diff(high, prepend=-1) != 0
    highs, high = highs[is_new], high[is_new]
    high[1:] += np.cumsum(np.diff(high) < -(2 ** (TIME_BITS - 1))) << TIME_BITS
    last_high, last_low = np.searchsorted(highs, at) - 1, np.searchsorted(lows, at) - 1
    low = np.zeros(len(at), dtype=np.int64)
    is_after = (last_low >= 0) & (last_high >= 0)
    is_after[is_after] = lows[last_low[is_after]] > highs[last_high[is_after]]
    low[is_after] = payload[lows[last_low[is_after]]]
    return np.where(last_high >= 0, (high[last_high] << TIME_BITS) + low, -1)
