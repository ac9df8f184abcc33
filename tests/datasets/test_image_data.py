"""The checked value that every reader returns."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from spikeproof.core.errors import DataError
from spikeproof.datasets.image_data import ImageData, fingerprint


@pytest.fixture
def data() -> ImageData:
    images = np.arange(5 * 12, dtype=np.uint8).reshape(5, 1, 3, 4)
    return ImageData(
        name="small",
        train_images=images,
        train_labels=np.array([0, 1, 2, 1, 0]),
        test_images=images[:2],
        test_labels=np.array([2, 2]),
        classes=("a", "b", "c"),
    )


def test_image_data_knows_its_shape(data):
    assert data.image_shape == (1, 3, 4)


def test_first_cuts_both_parts_in_order(data):
    cut = data.first(3)
    assert cut.train_labels.tolist() == [0, 1, 2]
    assert cut.test_labels.tolist() == [2, 2]
    assert cut.classes == data.classes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_labels": np.array([0, 1, 2, 1, 3])}, "expected labels in 0..2 in small train"),
        ({"test_labels": np.array([-1, 0])}, "expected labels in 0..2 in small test_labels"),
        ({"test_labels": np.array([1])}, "one int64 label for each of 2 images"),
        ({"test_labels": np.array([1, 1], np.int32)}, "got int32"),
        ({"test_images": np.zeros((2, 1, 3, 4))}, "expected uint8 pixels in small test_images"),
        ({"test_images": np.zeros((2, 3, 4), np.uint8)}, "images with four axes"),
        ({"test_images": np.zeros((2, 1, 4, 3), np.uint8)}, "images of one size in small"),
    ],
)
def test_image_data_refuses(data, changes, message):
    with pytest.raises(DataError, match=message):
        replace(data, **changes)


def test_fingerprint_depends_on_pixels_labels_and_order(data):
    pixels = data.train_images.copy()
    pixels[0, 0, 0, 0] ^= 1
    others = [
        replace(data, train_images=pixels),
        replace(data, test_labels=np.array([2, 1])),
        replace(data, train_images=data.train_images.reshape(5, 1, 4, 3).transpose(0, 1, 3, 2)),
        data.first(4),
    ]
    prints = {fingerprint(other) for other in (data, *others)}
    assert len(prints) == 5


def test_fingerprint_ignores_names_and_memory_layout(data):
    other = replace(
        data, name="x", classes=("d", "e", "f"), train_images=np.asfortranarray(data.train_images)
    )
    assert fingerprint(other) == fingerprint(data)


def test_fingerprint_is_the_sha256_of_shapes_and_bytes(data):
    parts = (
        (b"|u1[5, 1, 3, 4]", data.train_images),
        (b"<i8[5]", data.train_labels.astype("<i8")),
        (b"|u1[2, 1, 3, 4]", data.test_images),
        (b"<i8[2]", data.test_labels.astype("<i8")),
    )
    stream = b"".join(head + array.tobytes() for head, array in parts)
    assert fingerprint(data) == hashlib.sha256(stream).hexdigest()
