import base64
import struct
import zlib

import numpy as np
import pytest

from spikeproof.audit.examples import EACH, png


def pixels(address):
    """The bytes of a PNG's rows, each behind its filter's number."""
    content = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    start = content.index(b"IDAT") + 4
    (length,) = struct.unpack(">I", content[start - 8 : start - 4])
    return (height, width), zlib.decompress(content[start : start + length])


@pytest.mark.parametrize("channels", [1, 3])
def test_png_holds_every_pixel(channels, rng):
    image = rng.integers(0, 256, (channels, 4, 5), dtype=np.uint8)
    shape, rows = pixels(png(image))
    assert shape == (4, 5)
    found = np.frombuffer(rows, np.uint8).reshape(4, 1 + 5 * channels)
    assert not found[:, 0].any()
    assert np.array_equal(found[:, 1:].reshape(4, 5, channels).transpose(2, 0, 1), image)


def test_examples_are_right_clean_and_wrong_adversarial_on_the_chip(finished):
    shown = finished["examples"]
    assert [example["kind"] for example in shown] == ["worst"] * EACH + ["typical"] * EACH
    for example in shown:
        clean, adversarial = example["said"]["hardware"]
        assert clean == example["label"]
        assert adversarial != example["label"]


def test_worst_examples_are_no_typical_ones(finished):
    shown = {kind: set() for kind in ("worst", "typical")}
    for example in finished["examples"]:
        shown[example["kind"]].add(example["sample"])
    assert not shown["worst"] & shown["typical"]
