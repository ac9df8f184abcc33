"""scikit-learn's digits on the uint8 lattice."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from spikeproof.datasets.digits import read_digits, to_lattice


@pytest.fixture
def bunch() -> Any:
    return load_digits()


def test_digits_are_split_in_official_order(bunch):
    data = read_digits()
    assert data.train_images.shape == (1437, 1, 8, 8)
    assert data.test_images.shape == (360, 1, 8, 8)
    labels = np.concatenate([data.train_labels, data.test_labels])
    np.testing.assert_array_equal(labels, bunch.target)


def test_digits_come_back_from_the_lattice(bunch):
    data = read_digits()
    images = np.concatenate([data.train_images, data.test_images])[:, 0]
    np.testing.assert_array_equal(np.rint(images * (16 / 255)), bunch.images)


def test_digits_have_ten_named_classes():
    assert read_digits().classes == tuple("0123456789")


def test_to_lattice_rounds_each_level():
    levels = np.arange(17.0).reshape(1, 1, 17)
    expected = [0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239, 255]
    assert to_lattice(levels).ravel().tolist() == expected
