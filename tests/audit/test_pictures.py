"""Pictures of samples hold every pixel, where a reader looks for it."""

import base64
import struct
import zlib

import numpy as np
import pytest

from spikeproof.audit.pictures import GREY, frame_pictures, image_pictures, png, sheet


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


def grey(address):
    """The pixels of a grey PNG."""
    (height, width), rows = pixels(address)
    return np.frombuffer(rows, np.uint8).reshape(height, 1 + width)[:, 1:]


def test_changes_of_an_image_are_white_and_black_at_the_reach(rng):
    clean = np.full((1, 1, 3), 100, np.uint8)
    shown = image_pictures(
        clean, clean + np.array([[[0, 4, -4]]], np.int8).astype(np.uint8), reach=4
    )
    assert grey(shown["perturbation"]).tolist() == [[127, 255, 0]]


def test_sheet_has_steps_in_columns_and_on_above_off(rng):
    levels = rng.integers(0, 256, (3 * 2, 4, 5))
    found = sheet(levels, steps=3)[0]
    assert found.shape == (2 * 4 + 1, 3 * 5 + 2)
    for step in range(3):
        columns = slice(6 * step, 6 * step + 5)
        np.testing.assert_array_equal(found[:4, columns], levels[2 * step + 1])
        np.testing.assert_array_equal(found[5:, columns], levels[2 * step])
    assert (found[4] == GREY).all()


def test_frames_show_what_came_and_what_went():
    clean = np.zeros((2, 2, 2), np.uint8)
    clean[1, 0, 0] = 64
    adversarial = np.zeros_like(clean)
    adversarial[0, 1, 1] = 32
    shown = {name: grey(a) for name, a in frame_pictures(clean, adversarial, steps=1).items()}
    assert shown["clean"][0, 0] == 255
    assert shown["adversarial"][4, 1] == 127
    change = shown["perturbation"]
    assert (change[0, 0], change[4, 1]) == (GREY - 127, GREY + 63)
    assert (np.delete(change.ravel(), [0, 9]) == GREY).all()
