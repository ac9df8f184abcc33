import numpy as np
import pytest
from jaxtyping import TypeCheckError

from spikeproof.core.axes import (
    images_to_maps,
    lava_to_map,
    lava_to_train,
    map_to_lava,
    train_to_lava,
)


def test_images_to_maps_moves_channels_forward(rng):
    images = rng.integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    maps = images_to_maps(images)
    assert maps.shape == (2, 3, 5, 7)
    assert maps[1, 2, 4, 6] == images[1, 4, 6, 2]


def test_lava_to_train_reads_width_height_channel_time(rng):
    recorded = rng.integers(0, 2, (7, 5, 3, 4))
    train = lava_to_train(recorded)
    assert train.shape == (4, 3, 5, 7)
    assert train[1, 2, 4, 6] == recorded[6, 4, 2, 1]


def test_lava_to_train_reads_neurons_and_time(rng):
    recorded = rng.integers(0, 2, (9, 4))
    np.testing.assert_array_equal(lava_to_train(recorded), recorded.T)


def test_lava_to_map_reads_width_height_channel(rng):
    recorded = rng.integers(0, 9, (7, 5, 3))
    found = lava_to_map(recorded)
    assert found.shape == (3, 5, 7)
    assert found[2, 4, 6] == recorded[6, 4, 2]


@pytest.mark.parametrize("shape", [(9, 4), (7, 5, 3, 4)])
def test_train_to_lava_undoes_lava_to_train(rng, shape):
    recorded = rng.integers(0, 2, shape)
    np.testing.assert_array_equal(train_to_lava(lava_to_train(recorded)), recorded)


@pytest.mark.parametrize("shape", [(9,), (7, 5, 3)])
def test_map_to_lava_undoes_lava_to_map(rng, shape):
    recorded = rng.integers(0, 9, shape)
    np.testing.assert_array_equal(map_to_lava(lava_to_map(recorded)), recorded)


@pytest.mark.parametrize("turn", [lava_to_map, lava_to_train, map_to_lava, train_to_lava])
def test_turned_arrays_are_contiguous(rng, turn):
    assert turn(rng.integers(0, 9, (7, 5, 3))).flags.c_contiguous


def test_shapes_are_checked_where_make_test_asks_for_it(request):
    if not request.config.getoption("--jaxtyping-packages"):
        pytest.skip("NOT TESTED: expected --jaxtyping-packages, got none; run make test")
    with pytest.raises(TypeCheckError):
        images_to_maps(np.zeros((2, 5, 7)))
