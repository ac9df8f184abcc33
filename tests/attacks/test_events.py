"""Attacks that change events: lawful, within their budgets, better with more of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spikeproof.attacks.counts import Counts
from spikeproof.attacks.lattice import LEVELS, Cells, ThreatModel
from spikeproof.attacks.moves import moved, ranked_moves, within
from spikeproof.attacks.retiming import Retiming
from spikeproof.attacks.sda import SDA
from spikeproof.attacks.spike_fool import SpikeFool
from spikeproof.attacks.suite import SUITES, attack_named
from spikeproof.core.errors import ConfigError, DataError
from spikeproof.tests.attacks.events_toy import CELLS, EVENTS, SHAPE, frame_batch, frame_toy

ATTACKS = {
    "counts": Counts(name="counts", steps=4, stride=2),
    "sda": SDA(name="sda", steps=2, first=4),
    "far": Retiming(name="far", steps=6, norm="inf", limit=1),
    "sum": Retiming(name="sum", steps=6, norm="1", limit=5),
    "moved": Retiming(name="moved", steps=6, norm="0", limit=3),
    "fool": SpikeFool(name="fool", steps=2, most=6),
}
SHORT = {"counts": 2, "sda": 1, "far": 2, "sum": 2, "moved": 2, "fool": 1}


@pytest.fixture
def toy():
    return frame_toy()


@pytest.fixture
def batch(toy):
    return frame_batch(toy)


def attacked(toy, batch, attack, **changes):
    return attack(toy, **(batch | changes), threat=EVENTS, seed=0)


def frames(images):
    """Counts `[N, T, places]`."""
    return CELLS.counts(images).reshape(len(images), CELLS.steps, -1)


@pytest.mark.parametrize("name", ATTACKS)
def test_points_are_whole_events_between_none_and_the_cap(toy, batch, name):
    attempt = attacked(toy, batch, ATTACKS[name])
    for images in (attempt.images, attempt.last, attempt.broken):
        levels = (images * LEVELS).round()
        assert torch.equal(CELLS.images(CELLS.counts(images)), images)
        assert 0 <= levels.min() <= levels.max() <= CELLS.cap
        EVENTS.check(images)


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_fools_some_and_says_so(toy, batch, name):
    attempt = attacked(toy, batch, ATTACKS[name])
    wrong = toy(attempt.broken).argmax(1) != batch["labels"]
    assert attempt.fooled_any.sum() > 0
    assert torch.equal(wrong, attempt.fooled_any)


@pytest.mark.parametrize("name", ATTACKS)
def test_more_steps_never_find_less(toy, batch, name):
    attack = ATTACKS[name]
    less = attacked(toy, batch, replace(attack, steps=SHORT[name]))
    more = attacked(toy, batch, attack)
    assert not (less.fooled_any & ~more.fooled_any).any()


@pytest.mark.parametrize("name", ATTACKS)
def test_results_depend_on_the_sample_alone(toy, batch, name):
    whole = attacked(toy, batch, ATTACKS[name])
    alone = {key: value[5:6] for key, value in batch.items()}
    single = attacked(toy, alone, ATTACKS[name])
    assert torch.equal(whole.images[5:6], single.images)
    assert torch.equal(whole.last[5:6], single.last)


@pytest.mark.parametrize(("name", "most"), [("counts", 8), ("fool", 6)])
def test_budgets_of_events_hold(toy, batch, name, most):
    attempt = attacked(toy, batch, ATTACKS[name])
    changed = CELLS.changed(attempt.last, batch["images"])
    assert changed.max() <= most
    assert changed.min() >= 1 or name == "fool"


def test_counts_without_a_gradient_change_nothing(toy, batch):
    attempt = attacked(toy, batch, replace(ATTACKS["counts"], estimator="none"))
    assert torch.equal(attempt.last, batch["images"])


def test_sda_empties_cells_or_gives_them_one_event(toy, batch):
    attempt = attacked(toy, batch, ATTACKS["sda"])
    before, after = CELLS.counts(batch["images"]), CELLS.counts(attempt.images)
    changed = before != after
    assert torch.equal(after[changed], (before[changed] == 0).float())
    assert changed.flatten(1).sum(1).max() <= 4 + 8


def test_sda_takes_back_what_a_fooled_sample_does_not_need(toy, batch):
    attempt = attacked(toy, batch, ATTACKS["sda"])
    fooled = attempt.fooled_last
    flips = [(x != batch["images"]).flatten(1).sum(1) for x in (attempt.last, attempt.broken)]
    assert fooled.any()
    assert (flips[0] <= flips[1])[fooled].all()
    assert (toy(attempt.last).argmax(1) != batch["labels"])[fooled].all()


@pytest.mark.parametrize("name", ["far", "sum", "moved"])
def test_retiming_keeps_every_count_at_its_place(toy, batch, name):
    attempt = attacked(toy, batch, ATTACKS[name])
    before, after = frames(batch["images"]), frames(attempt.last)
    assert (before != after).any()
    assert torch.equal(before.sort(dim=1).values, after.sort(dim=1).values)


def steps_of(before, after):
    """Least steps that packets of each sample go together, and how many went: in order of time."""
    far, count = [], []
    for one, other in zip(before, after, strict=True):
        distances = [
            abs(s - t)
            for place in range(one.shape[1])
            for s, t in _matched(one[:, place], other[:, place])
        ]
        far.append(sum(distances))
        count.append(sum(d > 0 for d in distances))
    return far, count


def _matched(one, other):
    """Pairs of steps of equal counts, those that stay first."""
    left = [int(s) for s in np.flatnonzero(one) if one[s] != other[s]]
    right = [int(t) for t in np.flatnonzero(other) if one[t] != other[t]]
    return [
        (s, right.pop(next(k for k, t in enumerate(right) if other[t] == one[s]))) for s in left
    ]


def test_retiming_keeps_its_budgets(toy, batch):
    before = frames(batch["images"])
    found = {n: frames(attacked(toy, batch, ATTACKS[n]).last) for n in ("far", "sum", "moved")}
    assert max(steps_of(before, found["sum"])[0]) <= 5
    assert max(steps_of(before, found["moved"])[1]) <= 3
    reach = torch.nn.functional.max_pool1d(before.transpose(1, 2), 3, 1, 1).transpose(1, 2)
    assert (found["far"] <= reach).all()


def test_moves_that_fit_equal_a_slow_loop(rng):
    is_there = torch.from_numpy(rng.random((2, 4, 5)) < 0.5)
    share = torch.from_numpy(rng.random((2, 4, 4, 5)))
    counts = is_there * torch.from_numpy(rng.integers(1, 9, (2, 4, 5)))
    found = moved(counts.double(), ranked_moves(is_there, share))
    for n in range(2):
        for place in range(5):
            slots, waiting = counts[n, :, place].clone(), set(is_there[n, :, place].nonzero()[:, 0])
            waiting = {int(s) for s in waiting}
            pairs = [(float(share[n, s, t, place]), s, t) for s in range(4) for t in range(4)]
            for _, s, t in sorted(pairs, reverse=True):
                if s in waiting and (s == t or slots[t] == 0):
                    waiting.discard(s)
                    if s != t:
                        slots[t], slots[s] = slots[s].clone(), 0
            np.testing.assert_array_equal(found[n, :, place], slots)


def test_budgets_of_moves_keep_the_first(rng):
    is_there = torch.ones(1, 4, 30, dtype=torch.bool)
    is_there[:, 2:] = False
    moves = ranked_moves(is_there, torch.from_numpy(rng.random((1, 4, 4, 30))))
    kept = within(moves, cost=moves.distance, budget=7)
    assert (moves.distance * kept.taken).sum() in (5, 6, 7)
    taken = moves.share[moves.taken]
    assert (taken.diff() <= 0).all()


@pytest.mark.parametrize("name", ATTACKS)
def test_images_are_refused(toy, batch, name):
    with pytest.raises(ConfigError, match="expected frames of events, got images"):
        ATTACKS[name](toy, **batch, threat=ThreatModel(epsilon=1 / 255), seed=0)


def test_frames_above_their_cap_are_refused(toy, batch):
    with pytest.raises(DataError, match="stacks of 4 frames of at most 30 levels, got 8 channels"):
        attacked(toy, batch, ATTACKS["counts"], images=batch["images"] + 90 / 255)


@pytest.mark.parametrize("change", [{"steps": 0}, {"unit": 0}, {"unit": 40}, {"cap": 256}])
def test_cells_out_of_range_are_refused(change):
    with pytest.raises(ConfigError, match="expected steps >= 1 and 1 <= unit <= cap <= 255"):
        replace(CELLS, **change)


@pytest.mark.parametrize(
    ("name", "change"), [("counts", "stride"), ("sda", "first"), ("far", "limit"), ("fool", "most")]
)
def test_budgets_below_one_are_refused(name, change):
    with pytest.raises(ConfigError, match=f"expected {change} of at least 1 for attack"):
        replace(ATTACKS[name], **{change: 0})


def test_counts_of_capped_cells_are_the_fewest_they_stand_for():
    cells = Cells(steps=1, unit=32)
    counts = torch.arange(12.0).reshape(1, 12, 1, 1)
    levels = (cells.images(counts) * 255).flatten().tolist()
    assert levels == [0, 32, 64, 96, 128, 160, 192, 224, 255, 255, 255, 255]
    assert cells.counts(cells.images(counts)).flatten().tolist() == [*range(9), 8, 8, 8]


def test_the_suite_for_events_attacks_frames_and_events():
    kinds = [attack_named(name).needs_frames for name in SUITES["events"].attacks]
    assert kinds == [False, False, *[True] * 6]
    assert all(
        (attack_named(n).budget is None) != attack_named(n).needs_frames
        for n in SUITES["events"].attacks
    )
    assert SHAPE[0] == CELLS.steps * 2
