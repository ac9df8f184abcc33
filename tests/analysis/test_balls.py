"""Balls of three norms, against the theory of linear functions."""

import numpy as np
import pytest
import torch

from spikeproof.analysis.balls import BALLS, ball, equal_noise
from spikeproof.analysis.vulnerability import (
    VulnerabilityConfig,
    adversarial_vulnerability,
    random_vulnerability,
)
from spikeproof.attacks.norms import NORMS
from spikeproof.core.errors import ConfigError
from spikeproof.core.randomness import generator

SLOPES = torch.tensor(
    [[3.0, -1.0, 0.5, 0.0], [0.0, 0.0, 2.0, 0.0], [1.0, 1.0, -1.0, 1.0], [4.0, 0.1, 0.1, -0.1]]
).view(4, 1, 2, 2)
"""A slope a sample: mixed, along one axis, along a diagonal, nearly along one axis."""
IMAGES = torch.full((4, 1, 2, 2), 0.5)
D = 4


def height(x):
    return (x * SLOPES).flatten(1).sum(1)


def theory(norm):
    """The three ratios as they are printed, from the norms of each slope."""
    flat = SLOPES.flatten(1)
    l1, l2, largest = flat.abs().sum(1), flat.norm(dim=1), flat.abs().amax(1)
    return {
        "linf": 3 * l1.square() / l2.square(),
        "l2": torch.full((4,), D + 2.0),
        "l1": (D + 1) * (D + 2) / 2 * largest.square() / l2.square(),
    }[norm]


@pytest.mark.parametrize("norm", BALLS)
def test_ratio_of_a_linear_function_is_that_of_the_theory(norm):
    torch.testing.assert_close(ball(norm).ratio(SLOPES), theory(norm))


@pytest.mark.parametrize("norm", BALLS)
@pytest.mark.parametrize("steps", [0, 5])
def test_vulnerabilities_of_a_linear_function_have_that_ratio(norm, steps):
    draws = [generator(0, norm, sample) for sample in range(4)]
    random = random_vulnerability(height, IMAGES, epsilon=0.05, draws=draws, count=6000, norm=norm)
    worst = adversarial_vulnerability(height, IMAGES, SLOPES, epsilon=0.05, steps=steps, norm=norm)
    torch.testing.assert_close(worst / random, theory(norm), rtol=0.08, atol=0)


@pytest.mark.parametrize("norm", BALLS)
def test_uniform_points_fill_the_unit_ball(norm):
    draw = np.random.default_rng(0)
    points = np.stack([BALLS[norm].uniform(draw, (1, 2, 2)) for _ in range(4000)])
    sizes = NORMS[norm].size(torch.from_numpy(points))
    assert sizes.max() <= 1.0
    # A ball of half the radius has a share of 2⁻ᵈ.
    assert (sizes <= 0.5).double().mean().item() == pytest.approx(2.0**-D, abs=0.012)
    assert (points**2).mean() == pytest.approx(BALLS[norm].spread(D), rel=0.05)


def test_sparser_slopes_are_better_in_linf_worse_in_l1_and_nothing_in_l2():
    one, even = 1, 2
    change = {norm: ball(norm).ratio(SLOPES)[[one, even]].tolist() for norm in BALLS}
    assert change["linf"][0] < change["linf"][1]
    assert change["l2"][0] == change["l2"][1]
    assert change["l1"][0] > change["l1"][1]


def test_equal_noise_has_equal_spread():
    shape = (3, 32, 32)
    radii = {norm: equal_noise(8 / 255, norm, shape) for norm in ("linf", "l2", "l1", "l0")}
    spread = {norm: radii[norm] ** 2 * BALLS[norm].spread(3072) for norm in BALLS}
    assert spread["l2"] == pytest.approx(spread["linf"])
    assert spread["l1"] == pytest.approx(spread["linf"])
    assert (radii["linf"], radii["l0"]) == (8 / 255, 2.0)
    assert radii["l2"] == pytest.approx(8 / 255 * (3074 / 3) ** 0.5)


def test_a_norm_without_a_ball_is_refused():
    with pytest.raises(ConfigError, match="expected a norm among linf, l2, l1, got 'l0'; choose"):
        VulnerabilityConfig(norm="l0")
