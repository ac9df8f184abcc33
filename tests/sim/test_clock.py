"""Which step clears a population, and which steps answer which sample."""

import pytest

from spikeproof.core.errors import ConfigError
from spikeproof.sim.clock import LavaClock, Window


def steps_of(resets):
    return [t for t, due in enumerate(resets, 1) if due]


@pytest.mark.parametrize(
    ("phase", "offset", "steps"),
    [
        (0, 0, [1, 5, 9]),
        (1, 0, [2, 6, 10]),
        (3, 0, [4, 8, 12]),
        (4, 0, [1, 5, 9]),
        (0, 1, [2, 6, 10]),
    ],
)
def test_resets_come_a_step_later_for_each_phase(phase, offset, steps):
    clock = LavaClock(steps=12, reset_interval=4, reset_offset=offset)
    assert steps_of(clock.resets(phase)) == steps


def test_no_interval_means_no_resets():
    assert LavaClock(steps=12).resets(0) == ()


def test_an_interval_of_one_clears_at_every_step():
    assert all(LavaClock(steps=3, reset_interval=1, reset_offset=7).resets(2))


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("phase", [0, 2])
def test_a_window_starts_with_the_reset_of_its_population(phase, offset):
    clock = LavaClock(steps=40, reset_interval=6, reset_offset=offset)
    starts = [clock.window(phase, sample).start + 1 for sample in range(5)]
    assert set(starts) <= set(steps_of(clock.resets(phase)))
    assert clock.window(phase, 2) == slice(12 + offset + phase, 18 + offset + phase)


def test_spikes_arrive_a_step_late_on_one_clock_and_at_once_in_windows():
    assert (LavaClock(steps=1).lateness(0), LavaClock(steps=1).lateness(3)) == (1, 4)
    assert (Window(steps=1).lateness(0), Window(steps=1).lateness(3)) == (0, 0)


@pytest.mark.parametrize("numbers", [{"steps": 0}, {"steps": 3, "reset_interval": 0}])
def test_numbers_below_one_are_refused(numbers):
    with pytest.raises(ConfigError, match="expected steps and reset interval of at least 1, got"):
        LavaClock(**numbers)


def test_the_window_of_a_sample_needs_resets():
    with pytest.raises(ConfigError, match="with a reset interval for the window of a sample, got"):
        LavaClock(steps=3).window(0, 0)


def test_windows_without_steps_are_refused():
    with pytest.raises(ConfigError, match="expected at least 1 step, got 0"):
        Window(steps=0)
