"""Balls of other norms: nothing leaves them, rounding included, and attacks fill them."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from spikeproof.attacks.apgd import APGD
from spikeproof.attacks.fgsm import FGSM
from spikeproof.attacks.lattice import ThreatModel, random_corner, snap, uniform_start
from spikeproof.attacks.mifgsm import MIFGSM
from spikeproof.attacks.noise import Corners, Noise
from spikeproof.attacks.norms import NORMS, rounded
from spikeproof.attacks.pgd import PGD
from spikeproof.attacks.sparse_rs import SparseRS
from spikeproof.attacks.square import Square
from spikeproof.attacks.suite import attack_named, suite_named
from spikeproof.attacks.target import FunctionTarget
from spikeproof.core.errors import ConfigError
from spikeproof.core.randomness import generator

RADII = {"l2": 0.3, "l1": 0.5, "l0": 2.0}
SHAPE = (5, 2, 4, 4)
SEARCHING = {
    "l2": (
        PGD(name="p", steps=8),
        APGD(name="a", steps=12),
        MIFGSM(name="m", steps=8),
        Square(name="s", steps=20),
        FGSM(name="f"),
        Noise(name="n"),
    ),
    "l1": (PGD(name="p", steps=8), APGD(name="a", steps=12), FGSM(name="f"), Corners(name="c")),
    "l0": (
        PGD(name="p", steps=8),
        SparseRS(name="r", steps=20),
        Noise(name="n"),
        Corners(name="c"),
    ),
}
CASES = [(norm, attack) for norm, attacks in SEARCHING.items() for attack in attacks]


@pytest.fixture
def images(rng):
    """Black and white pixels among them: the range cuts balls."""
    return snap(torch.from_numpy(rng.choice([0, 255, *range(256)], SHAPE)).float() / 255)


@pytest.fixture
def linear(rng):
    """Class 1 wins where Σ w·x > 0; small enough for cross entropy to tell points apart."""
    weight = torch.from_numpy(rng.normal(size=SHAPE[1:])).float()

    def logits(x):
        score = (weight * x).flatten(1).sum(1) / 4
        return torch.stack([torch.zeros_like(score), score], dim=1)

    return weight, FunctionTarget(logits, name="linear")


def attacked(attack, target, images, threat):
    labels = torch.zeros(len(images), dtype=torch.int64)
    return attack(target, images, labels, threat=threat, keys=torch.arange(len(images)), seed=0)


def size_in_levels(norm, found, images):
    """The size of a change in whole levels, computed in integers."""
    change = ((found - images).double() * 255).round().numpy().reshape(len(found), *SHAPE[1:])
    return {
        "l2": np.sqrt((change**2).sum((1, 2, 3))),
        "l1": np.abs(change).sum((1, 2, 3)),
        "l0": (change != 0).any(1).sum((1, 2)),
    }[norm]


@pytest.mark.parametrize(("norm", "attack"), CASES)
def test_attacks_stay_inside_ball_range_and_lattice(linear, images, norm, attack):
    threat = ThreatModel(epsilon=RADII[norm], norm=norm)
    attempt = attacked(attack, linear[1], images, threat)
    for found in (attempt.images, attempt.last):
        assert torch.equal(snap(found), found)
        assert 0 <= found.min() <= found.max() <= 1
        radius = RADII[norm] * (1 if norm == "l0" else 255)
        assert (size_in_levels(norm, found, images) <= radius + 1e-3).all()


@pytest.mark.parametrize(("norm", "attack"), CASES)
def test_attacks_off_the_lattice_stay_inside_ball_and_range(linear, images, norm, attack):
    threat = ThreatModel(epsilon=RADII[norm], norm=norm, lattice=False)
    found = attacked(attack, linear[1], images, threat).images
    assert (NORMS[norm].size(found - images) <= RADII[norm] * (1 + 1e-5)).all()
    assert 0 <= found.min() <= found.max() <= 1


@pytest.mark.parametrize(("norm", "attack"), CASES)
def test_a_sample_gets_alone_what_it_gets_in_a_batch(linear, images, norm, attack):
    threat, keys = ThreatModel(epsilon=RADII[norm], norm=norm), torch.arange(len(images))
    labels = torch.zeros(len(images), dtype=torch.int64)
    together = attack(linear[1], images, labels, threat=threat, keys=keys, seed=0).images
    alone = slice(3, 4)
    given = images[alone], labels[alone]
    found = attack(linear[1], *given, threat=threat, keys=keys[alone], seed=0).images
    assert torch.equal(found, together[alone])


@pytest.mark.parametrize("norm", RADII)
def test_larger_balls_hold_larger_losses(linear, images, norm):
    attack = SEARCHING[norm][0]
    threats = [ThreatModel(epsilon=RADII[norm] * k, norm=norm) for k in (1, 2, 4)]
    losses = [attacked(attack, linear[1], images, threat).loss.mean() for threat in threats]
    assert all(a < b for a, b in pairwise(losses))


@pytest.mark.parametrize("norm", RADII)
def test_more_restarts_are_never_weaker(linear, images, norm):
    attack, threat = SEARCHING[norm][0], ThreatModel(epsilon=RADII[norm], norm=norm)
    one, three = (
        attacked(replace(attack, restarts=k), linear[1], images, threat).loss for k in (1, 3)
    )
    assert (three >= one).all()


def best_l2(weight, radius):
    return radius * weight.norm()


def best_l1(weight, radius):
    """Within the range the whole budget goes into the steepest entry."""
    return radius * weight.abs().max()


@pytest.mark.parametrize(("norm", "best"), [("l2", best_l2), ("l1", best_l1)])
def test_apgd_finds_the_best_of_a_linear_model(linear, norm, best):
    weight, target = linear
    grey, radius = snap(torch.full(SHAPE, 0.5)), 0.3
    threat = ThreatModel(epsilon=radius, norm=norm, lattice=False)
    found = attacked(APGD(name="a", steps=100, loss="margin"), target, grey, threat).images
    gain = (weight * (found - grey)).flatten(1).sum(1)
    assert (gain >= 0.97 * best(weight, radius)).all()
    assert (gain <= best(weight, radius) * (1 + 1e-5)).all()


def test_pgd_finds_the_best_pixels_of_a_linear_model(linear):
    weight, target = linear
    grey, threat = snap(torch.full(SHAPE, 0.5)), ThreatModel(epsilon=2.0, norm="l0")
    found = attacked(PGD(name="p", steps=50), target, grey, threat).images
    gain = (weight * (found - grey)).flatten(1).sum(1)
    best = 0.5 * weight.abs().sum(0).flatten().sort().values[-2:].sum()
    assert (gain >= 0.97 * best).all()


def test_pgd_in_the_l1_ball_goes_on_where_pixels_are_full():
    """Every entry counts alike: one entry alone could rise by a half."""

    def logits(x):
        score = x.flatten(1).mean(1) - 1
        return torch.stack([torch.zeros_like(score), score], dim=1)

    grey, threat = snap(torch.full(SHAPE, 0.5)), ThreatModel(epsilon=4.0, norm="l1", lattice=False)
    attack = PGD(name="p", steps=40)
    found = attacked(attack, FunctionTarget(logits, name="mean"), grey, threat).images
    assert ((found - grey).flatten(1).sum(1) > 1.5).all()


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_projection_is_the_nearest_point(rng, norm):
    """Against a thousand random points of ball and range; of l2 with no range in the way."""
    change = torch.from_numpy(rng.normal(size=(1, *SHAPE[1:])))
    wall = torch.full_like(change, 0.2 if norm == "l1" else 10.0)
    found = NORMS[norm].project(change, -wall, wall, 1.0)
    others = torch.from_numpy(rng.normal(size=(1000, *SHAPE[1:])))
    others = NORMS[norm].project(others + 3 * change, -wall, wall, 1.0)
    assert NORMS[norm].size(found) <= 1 + 1e-6
    distances = (others - change).flatten(1).norm(dim=1)
    assert (found - change).norm() <= distances.min() + 1e-6


@pytest.mark.parametrize("norm", NORMS)
def test_what_is_inside_is_projected_onto_itself(rng, norm):
    change = torch.zeros(2, 1, 3, 3)
    change[:, 0, 0, 0] = 0.125
    wall = torch.ones_like(change)
    assert torch.equal(NORMS[norm].project(change, -wall, wall, 1.0), change)


@pytest.mark.parametrize(("norm", "radius"), [("l2", 3.0), ("l1", 4.0)])
def test_rounding_goes_to_the_nearest_level_as_far_as_the_ball_allows(norm, radius):
    change = torch.tensor([1.9, -1.6, 0.55, 0.4]).reshape(1, 1, 2, 2)
    found = rounded(change, NORMS[norm], radius).flatten().tolist()
    assert found == {"l2": [2.0, -2.0, 1.0, 0.0], "l1": [2.0, -2.0, 0.0, 0.0]}[norm]


@pytest.mark.parametrize("norm", RADII)
def test_corners_lie_on_the_edge_and_starts_inside(images, norm):
    threat = ThreatModel(epsilon=RADII[norm], norm=norm, lattice=False)
    grey = torch.full_like(images, 0.5)

    def draws():
        return [generator(0, "test", key) for key in range(len(grey))]

    corner, start = (
        NORMS[norm].size(draw(grey, threat=threat, draws=draws()) - grey)
        for draw in (random_corner, uniform_start)
    )
    assert (corner - RADII[norm]).abs().max() < 1e-4
    assert (start <= RADII[norm] + 1e-4).all()


@pytest.mark.parametrize("norm", RADII)
def test_the_widest_ball_holds_every_image(norm):
    threat = ThreatModel(epsilon=RADII[norm], norm=norm)
    wide = replace(threat, epsilon=threat.wider(255, 32))
    black, white = torch.zeros(1, *SHAPE[1:]), torch.ones(1, *SHAPE[1:])
    assert torch.equal(wide.see(wide.project(white, black), black), white)


def test_attacks_without_the_norm_are_refused(linear, images):
    for attack in (SparseRS(name="s", steps=3), attack_named("pgd10")):
        with pytest.raises(ConfigError, match=f"than l2 for attack {attack.name!r}"):
            attacked(attack, linear[1], images, ThreatModel(epsilon=0.5, norm="l2"))


@pytest.mark.parametrize(
    ("suite", "norm", "names"),
    [
        ("quick", "l2", ("fgsm", "pgd10-scaled", "apgd10")),
        ("quick", "l0", ("pgd10-scaled",)),
        ("full", "l1", ("fgsm", "apgd10", "pgd10-scaled", "pgd50-scaled")),
        ("full", "l0", ("pgd10-scaled", "pgd50-scaled")),
    ],
)
def test_suites_keep_what_searches_the_norm(suite, norm, names):
    found = suite_named(suite)
    assert found.within(norm).attacks == names
    kept = {*names, *(name for wave in found.within(norm).waves for name in wave.attacks)}
    assert not kept & set(found.without(norm))
    assert found.within("linf") is found
