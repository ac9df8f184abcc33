"""An image that moves: along the closed path, and seen where a sensor sees it."""

import numpy as np
import pytest

from spikeproof.core.errors import ConfigError, DataError
from spikeproof.datasets.moving_image import BLACK, CORNERS, SIDE, MotionConfig, path, views

SIZE = 128
ONCE = MotionConfig(loops=1)


def picture(*, white=slice(16, None)):
    image = np.zeros((1, 32, 32), np.uint8)
    image[:, :, white] = 255
    return image


def test_path_is_closed_and_goes_by_single_pixels_at_45_degrees():
    places = path()
    moves = np.diff([*places, places[0]], axis=0)
    assert len(places) == 4 * SIDE
    assert (np.abs(moves) == 1).all()
    assert set(CORNERS) < set(places)


def test_views_begin_again_after_every_loop():
    seen = list(views(picture(), MotionConfig(loops=3), size=SIZE))
    assert len(seen) == 3 * 4 * SIDE + 1
    np.testing.assert_array_equal(seen[5], seen[5 + 4 * SIDE])
    np.testing.assert_array_equal(seen[0], seen[-1])


def test_views_are_turned_as_the_published_addresses():
    first = next(views(picture(), ONCE, size=SIZE))
    assert first[:, :50].min() > first[:, 78:].max()
    top = next(views(picture().transpose(0, 2, 1), ONCE, size=SIZE))
    assert top[:50].min() > top[78:].max()


def test_an_edge_moves_by_the_path_over_the_sensor():
    """Halfway round, the image is 20 screen pixels to the right: 5 of the sensor's, mirrored."""
    seen = list(views(picture(), ONCE, size=SIZE))
    middle = (np.log(BLACK) + np.log(1 + BLACK)) / 2
    edges = [int((view[64] > middle).sum()) for view in (seen[0], seen[2 * SIDE])]
    assert edges[0] - edges[1] == 5


def test_colours_count_as_luminance():
    grey = np.full((1, 8, 8), 150, np.uint8)
    red = np.zeros((3, 8, 8), np.uint8)
    red[0] = 255
    level = next(views(grey, ONCE, size=SIZE))
    np.testing.assert_allclose(level, np.log(BLACK + (150 / 255) ** 2.2), atol=1e-9)
    np.testing.assert_allclose(
        next(views(red, ONCE, size=SIZE)), np.log(BLACK + 0.299**2.2), atol=1e-9
    )


def test_what_no_screen_shows_is_refused():
    with pytest.raises(DataError, match="expected an image of 1 or 3 channels, got 2"):
        views(np.zeros((2, 8, 8), np.uint8), ONCE, size=SIZE)
    with pytest.raises(ConfigError, match=r"expected 1\.\.300 loops, got 0"):
        MotionConfig(loops=0)
