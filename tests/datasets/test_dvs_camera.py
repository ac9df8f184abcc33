"""A model of an event camera: lawful events, of the sign and number that changes of light ask."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeproof.core.errors import ConfigError
from spikeproof.datasets.dvs_camera import Camera, CameraConfig
from spikeproof.datasets.events import Recording, check

EXACT = CameraConfig(threshold_on=0.2, threshold_off=0.2, mismatch=0.0, refractory=10, noise=0.0)
SIDE, INTERVAL = 4, 1000


def recorded(views, config=EXACT, seed=0, interval=INTERVAL):
    draws = np.random.default_rng(seed)
    camera = Camera(config, height=SIDE, width=SIDE, generator=draws)
    return camera.record(views, interval=interval, generator=draws)


def flat(*levels):
    return [np.full((SIDE, SIDE), float(level)) for level in levels]


def slow(levels, config, interval):
    """One pixel's times and polarities, microsecond by microsecond; reference and fires by hand."""
    points = np.arange(len(levels)) * interval
    found, reference, awake = [], levels[0], 0
    for t in range((len(levels) - 1) * interval + 1):
        level = np.interp(t, points, levels)
        if t == awake:
            reference = level
        change = level - reference
        if t >= awake and (change >= config.threshold_on or change <= -config.threshold_off):
            found.append((t, int(change > 0)))
            awake = t + config.refractory
    return found


@pytest.mark.parametrize(("after", "polarity"), [(0.5, 1), (-0.5, 0)])
def test_camera_sends_on_where_it_gets_brighter_and_off_where_darker(after, polarity):
    views = flat(0, after)
    for view in views:
        view[:, :2] = 0
    events = recorded(views)
    assert len(events) == 2 * SIDE * 2
    assert set(events["p"]) == {polarity}
    assert set(events["x"]) == {2, 3}


def test_camera_sends_nothing_of_a_still_scene():
    assert len(recorded(flat(1, 1, 1))) == 0


def test_thresholds_count_for_their_polarity_alone():
    config = replace(EXACT, threshold_on=0.25, threshold_off=0.5)
    events = recorded(flat(0, 2.01, 0), replace(config, refractory=1))
    on, off = (int((events["p"] == p).sum()) // SIDE**2 for p in (1, 0))
    assert (on, off) == (7, 3)


@given(
    st.lists(st.integers(-20, 20), min_size=2, max_size=5),
    st.integers(1, 400),
    # Numbers that no level reaches at a whole microsecond, where rounding would decide.
    st.sampled_from([0.110371, 0.231339, 0.607171]),
)
def test_pixels_fire_as_one_that_is_stepped_by_the_microsecond(levels, refractory, threshold):
    levels = [0.1 * level for level in levels]
    config = replace(EXACT, threshold_on=threshold, threshold_off=0.307133, refractory=refractory)
    events = recorded(flat(*levels), config, interval=200)
    of_one = events[(events["x"] == 1) & (events["y"] == 2)]
    expected = slow(levels, config, 200)
    assert list(zip(of_one["t"], of_one["p"], strict=True)) == expected


@given(st.integers(0, 2**32), st.integers(1, 3000), st.sampled_from([0.0, 20.0, 900.0]))
def test_events_are_lawful_and_no_pixel_is_faster_than_its_refractory_period(seed, rest, noise):
    draws = np.random.default_rng(seed)
    views = draws.normal(0, 1, (6, SIDE, SIDE))
    config = replace(EXACT, refractory=rest, noise=noise, mismatch=0.1)
    events = recorded(views, config, seed)
    if len(events):
        check(Recording(events=events, height=SIDE, width=SIDE, source="camera"))
        assert 0 <= events["t"].min() <= events["t"].max() <= 5 * INTERVAL
    for pixel in range(SIDE**2):
        own = events["t"][(events["y"] == pixel // SIDE) & (events["x"] == pixel % SIDE)]
        assert (np.diff(own) >= rest).all()


def test_noise_comes_at_its_rate_without_any_change():
    config = replace(EXACT, noise=50.0, refractory=1)
    events = recorded(flat(*[0] * 101), config, interval=100_000)
    assert len(events) == pytest.approx(50 * SIDE**2 * 10, rel=0.1)
    assert events["p"].mean() == pytest.approx(0.5, abs=0.05)


def test_mismatch_makes_pixels_differ():
    events = recorded(flat(0, 3), replace(EXACT, mismatch=0.1))
    assert len(set(events["t"])) > SIDE**2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold_on": 0.0}, r"expected thresholds of 0\.01\.\.10 in log intensity, got 0.0"),
        ({"mismatch": 0.5}, r"expected a mismatch of 0\.\.0\.2 and 0\.\.1000 noise events"),
        ({"noise": -1.0}, r"expected a mismatch of 0\.\.0\.2 and 0\.\.1000 noise events"),
        ({"refractory": 0}, r"expected a refractory period of 1\.\.1000000 us, got 0"),
    ],
)
def test_cameras_that_cannot_be_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        CameraConfig(**change)
