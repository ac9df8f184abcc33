"""Pictures of samples, of their adversarial twins and of what lies between, as PNG addresses."""

import base64
import struct
import zlib

import numpy as np
from jaxtyping import Int64, UInt8

GREY = 128
"""Of no change, and of the lines between frames."""


def image_pictures(
    clean: UInt8[np.ndarray, "C H W"], adversarial: UInt8[np.ndarray, "C H W"], *, reach: int
) -> dict[str, str]:
    """An image clean and adversarial, and the change: grey is none, white and black are ±reach."""
    change = adversarial.astype(np.int64) - clean
    return {
        "clean": png(clean),
        "perturbation": png((127.5 + 127.5 * change / reach).astype(np.uint8)),
        "adversarial": png(adversarial),
    }


def frame_pictures(
    clean: UInt8[np.ndarray, "TC H W"], adversarial: UInt8[np.ndarray, "TC H W"], *, steps: int
) -> dict[str, str]:
    """Frames of events clean and adversarial, as sheets; brightest is the fullest cell of both.

    In the change, grey is none, white is what came and black what went, by the largest change.
    """
    change = adversarial.astype(np.int64) - clean
    fullest = max(int(clean.max()), int(adversarial.max()), 1)
    reach = max(int(np.abs(change).max()), 1)
    levels = {
        "clean": clean.astype(np.int64) * 255 // fullest,
        "perturbation": GREY + 127 * change // reach,
        "adversarial": adversarial.astype(np.int64) * 255 // fullest,
    }
    return {name: png(sheet(values, steps=steps)) for name, values in levels.items()}


def sheet(
    levels: Int64[np.ndarray, "TC H W"], *, steps: int
) -> UInt8[np.ndarray, "1 rows columns"]:
    """A stack as one picture: steps from left to right, ON above OFF, grey lines between them."""
    frames = levels.reshape(steps, -1, *levels.shape[1:])[:, ::-1]
    lined = np.pad(frames, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=GREY)
    joined = lined.transpose(1, 2, 0, 3).reshape(lined.shape[1] * lined.shape[2], -1)
    return joined[None, :-1, :-1].astype(np.uint8)


PNG_COLOURS = {1: 0, 3: 2}
"""Channels, and what PNG calls them: grey, red green blue."""


def png(image: UInt8[np.ndarray, "C H W"]) -> str:
    """The picture as a `data:` address, which a page shows without asking anybody."""
    channels, height, width = image.shape
    rows = np.ascontiguousarray(image.transpose(1, 2, 0)).reshape(height, -1)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", width, height, 8, PNG_COLOURS[channels], 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    content = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
