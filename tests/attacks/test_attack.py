"""Claims about every attack in the table that searches linf balls; the others: `test_norms`."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from spikeproof.attacks.attack import _check_batch
from spikeproof.attacks.lattice import ThreatModel
from spikeproof.attacks.loss import cross_entropy, is_fooled
from spikeproof.attacks.suite import ATTACKS
from spikeproof.core.errors import ConfigError, DataError

OF_IMAGES = [a for a in ATTACKS.values() if a.searches("linf") and not a.needs_frames]
SHORT = [replace(a, steps=40) if a.steps > 50 else a for a in OF_IMAGES]
EVERY = pytest.mark.parametrize("attack", SHORT, ids=lambda a: a.name)
RANDOM = pytest.mark.parametrize("attack", [a for a in SHORT if a.is_random], ids=lambda a: a.name)
EXACT = np.arange(256, dtype=np.float32) / np.float32(255)


def assert_same(found, expected):
    for field in fields(found):
        if field.name == "queries":  # the batch's, not the samples'
            continue
        a, b = getattr(found, field.name), getattr(expected, field.name)
        np.testing.assert_array_equal(a, b, err_msg=field.name)


def rows(attempt, chosen):
    """An attempt cut down to some samples."""
    tensors = {f.name: getattr(attempt, f.name) for f in fields(attempt) if f.name != "queries"}
    return replace(attempt, **{name: value[chosen] for name, value in tensors.items()})


def take(batch, chosen):
    return {name: values[chosen] for name, values in batch.items()}


@EVERY
def test_attack_stays_inside_ball_range_and_lattice(attack, toy, batch, threat):
    found = attack(toy, **batch, threat=threat, seed=0)
    for points in (found.images, found.last, found.broken):
        assert np.isin(points.numpy(), EXACT).all()
        moved = (points * 255).round() - (batch["images"] * 255).round()
        assert moved.abs().max() <= 8


@EVERY
def test_attack_stays_inside_ball_and_range_off_the_lattice(attack, toy, batch):
    threat = ThreatModel(epsilon=0.0301, lattice=False)
    found = attack(toy, **batch, threat=threat, seed=0)
    for points in (found.images, found.last, found.broken):
        assert points.min() >= 0
        assert points.max() <= 1
        assert (points - batch["images"]).abs().max() <= 0.0301 + 1e-7


@EVERY
def test_attack_reports_what_the_target_says_of_its_points(attack, toy, batch, threat):
    found = attack(toy, **batch, threat=threat, seed=0)
    assert found.fooled_any.any() or not attack.takes_gradients
    assert not found.fooled_any.all()
    assert torch.equal(is_fooled(toy(found.last), batch["labels"]), found.fooled_last)
    assert torch.equal(is_fooled(toy(found.broken), batch["labels"]), found.fooled_any)
    worst, last = (cross_entropy(toy(x), batch["labels"]) for x in (found.images, found.last))
    assert (worst >= last).all()


@EVERY
def test_attack_is_never_weaker_with_more_restarts(attack, toy, batch, threat):
    one = attack(toy, **batch, threat=threat, seed=0)
    three = replace(attack, restarts=3)(toy, **batch, threat=threat, seed=0)
    assert (three.fooled_any >= one.fooled_any).all()
    assert (three.fooled_last >= one.fooled_last).all()
    losses = [cross_entropy(toy(found.images), batch["labels"]) for found in (one, three)]
    assert (losses[1] >= losses[0]).all()
    assert three.queries == 3 * one.queries


@EVERY
def test_attack_does_not_depend_on_the_order_of_the_batch(attack, toy, batch, threat, rng):
    order = torch.from_numpy(rng.permutation(24))
    found = attack(toy, **batch, threat=threat, seed=0)
    assert_same(attack(toy, **take(batch, order), threat=threat, seed=0), rows(found, order))


@EVERY
def test_attack_does_not_depend_on_other_samples(attack, toy, batch, threat):
    found = attack(toy, **batch, threat=threat, seed=0)
    others = {name: values.clone() for name, values in batch.items()}
    others["images"][8:], others["keys"][8:], others["labels"][8:] = 0.0, 5, 1
    kept = slice(0, 8)
    replaced = attack(toy, **others, threat=threat, seed=0)
    assert_same(rows(replaced, kept), rows(found, kept))
    assert_same(attack(toy, **take(batch, kept), threat=threat, seed=0), rows(found, kept))


@RANDOM
@pytest.mark.parametrize("change", ["keys", "seed", "estimator", "name", "restart"])
def test_randomness_is_decided_by_key_seed_estimator_name_and_restart(
    attack, change, toy, batch, threat
):
    options = {**batch, "threat": threat, "seed": 3}
    found = attack(toy, **options)
    assert_same(attack(toy, **options), found)
    other, changed = attack, dict(options)
    if change == "keys":
        changed["keys"] = batch["keys"] + 1
    elif change == "seed":
        changed["seed"] = 1
    elif change == "restart":
        other = replace(attack, restarts=2)
    else:
        other = replace(attack, **{change: "true"})
    assert not torch.equal(other(toy, **changed).last, found.last)


def test_samples_of_one_key_draw_the_same_noise(toy, batch, threat):
    same = {**batch, "keys": torch.zeros(24, dtype=torch.int64)}
    same["images"] = torch.full_like(batch["images"], 51 / 255)
    found = ATTACKS["noise"](toy, **same, threat=threat, seed=0).last
    assert (found == found[0]).all()
    assert len(found[0].unique()) > 1


@EVERY
def test_attack_with_epsilon_zero_changes_nothing(attack, toy, batch):
    found = attack(toy, **batch, threat=ThreatModel(epsilon=0.0), seed=0)
    assert torch.equal(found.images, batch["images"])
    assert not found.fooled_any.any()


@EVERY
def test_attack_survives_gradients_of_zero(attack, toy, batch, threat):
    class Blind:
        name, estimators = "blind", ("exact",)

        def __call__(self, x):
            return toy(0 * x + batch["images"])

        def using(self, estimator):
            return self

    found = attack(Blind(), **batch, threat=threat, seed=0)
    assert not found.fooled_any.any()
    if attack.takes_gradients:
        assert (found.zero_gradients == 1).all()
    if attack.takes_gradients and not attack.is_random:
        assert torch.equal(found.last, batch["images"])


@EVERY
def test_attack_uses_the_estimator_it_names(attack, toy, batch, threat):
    named = replace(attack, name="same", estimator="flat")
    plain = replace(attack, name="same", estimator="true")
    flat, true = (a(toy, **batch, threat=threat, seed=0) for a in (named, plain))
    if attack.is_random:
        assert not torch.equal(flat.last, true.last)
    else:
        blind = attack(toy.using("flat"), **batch, threat=threat, seed=0)
        assert_same(flat, blind)
        assert torch.equal(flat.last, true.last) is not attack.takes_gradients


@EVERY
def test_stopping_early_finds_the_same_broken_examples(attack, toy, batch, threat):
    attack = replace(attack, restarts=4)
    full = attack(toy, **batch, threat=threat, seed=0)
    fooled = take(batch, full.fooled_any)
    early = attack(toy, **fooled, threat=threat, seed=0, stop_when_all_fooled=True)
    assert early.fooled_any.all()
    assert torch.equal(early.broken, full.broken[full.fooled_any])
    assert early.queries < full.queries


@EVERY
def test_samples_count_their_own_passes_whether_or_not_others_go_on(attack, toy, batch, threat):
    full = attack(toy, **batch, threat=threat, seed=0)
    early = attack(toy, **batch, threat=threat, seed=0, stop_when_all_fooled=True)
    assert torch.equal(early.asked, full.asked)
    assert full.asked.max() <= full.queries


def test_attack_does_not_stop_early_unless_asked(toy, batch, threat):
    wrong = {**batch, "labels": (batch["labels"] + 1) % 3}
    for asked, queries in [(False, 11), (True, 1)]:
        found = ATTACKS["pgd10"](toy, **wrong, threat=threat, seed=0, stop_when_all_fooled=asked)
        assert found.fooled_any.all()
        assert found.queries == queries


@pytest.mark.parametrize(
    ("name", "queries"), [("noise", 1), ("fgsm", 2), ("rfgsm", 2), ("pgd30", 31), ("apgd10", 11)]
)
def test_attack_counts_its_forward_passes(name, queries, toy, batch, threat):
    calls = []

    class Counted:
        name, estimators = "counted", ("exact",)

        def __call__(self, x):
            calls.append(len(x))
            return toy(x)

        def using(self, estimator):
            return self

    assert ATTACKS[name](Counted(), **batch, threat=threat, seed=0).queries == queries
    assert calls == [24] * queries


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"restarts": 0}, r"steps >= 0 and restarts >= 1 for attack 'pgd10', got 10 and 0"),
        ({"steps": -1}, r"steps >= 0 and restarts >= 1 for attack 'pgd10', got -1 and 1"),
        ({"step_size": 0.0}, r"step size above 0 and up to 1 for attack 'pgd10', got 0\.0"),
        ({"step_size": float("nan")}, r"step size above 0 .* got nan; give it in input units"),
    ],
)
def test_attack_refuses_options_out_of_range(change, message):
    with pytest.raises(ConfigError, match=message):
        replace(ATTACKS["pgd10"], **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": torch.zeros(0, 2, 2, 2)}, r"expected images .* got \[0, 2, 2, 2\]"),
        ({"images": torch.zeros(24, 2, 2, 2).half()}, r"float32 or float64 .* of torch\.float16"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, r"labels \[24\] of int64, .* got \[3\]"),
        ({"keys": torch.full((24,), -1)}, r"expected keys of 0 or more, got -1"),
        ({"labels": torch.full((24,), -1)}, r"expected labels of 0 or more, got -1"),
    ],
)
# Shapes are checked by the annotations too, where checking is on; users do not have it on.
def test_attack_refuses_batches_that_do_not_fit(change, message, toy, batch, threat):
    with pytest.raises(DataError, match=message):
        _check_batch(**{**batch, **change})


def test_attack_refuses_a_negative_seed(toy, batch, threat):
    with pytest.raises(ConfigError, match=r"expected a seed of 0 or more, got -1"):
        ATTACKS["fgsm"](toy, **batch, threat=threat, seed=-1)
