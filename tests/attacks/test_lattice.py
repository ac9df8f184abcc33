import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spikeproof.attacks.lattice import ThreatModel, snap, uniform_start
from spikeproof.core.errors import ConfigError, DataError
from spikeproof.core.randomness import generator

EXACT = np.arange(256, dtype=np.float32) / np.float32(255)


@given(st.integers(0, 255))
def test_epsilon_of_whole_levels_allows_exactly_these_levels(levels):
    assert ThreatModel(epsilon=levels / 255).levels == levels
    assert ThreatModel(epsilon=float(np.float32(levels / 255))).levels == levels
    assert ThreatModel(epsilon=sum([1 / 255] * levels, 0.0)).levels == levels


@given(st.floats(1 / 255, 1))
def test_the_lattice_radius_never_exceeds_epsilon(epsilon):
    threat = ThreatModel(epsilon=epsilon)
    assert threat.radius <= epsilon * (1 + 2**-22)
    assert threat.radius > epsilon - 1 / 255


def test_epsilon_between_levels_is_rounded_down():
    assert ThreatModel(epsilon=0.031).levels == 7
    assert ThreatModel(epsilon=0.031, lattice=False).radius == 0.031


@pytest.mark.parametrize("epsilon", [-0.1, 1.5, float("nan"), float("inf")])
def test_epsilon_out_of_range_is_refused(epsilon):
    with pytest.raises(ConfigError, match=rf"expected epsilon in 0\.\.1, got {epsilon}; give it"):
        ThreatModel(epsilon=epsilon)


def test_epsilon_below_one_level_is_refused_on_the_lattice_only():
    with pytest.raises(ConfigError, match=r"at least 1/255 .* got 0\.002; no pixel could change"):
        ThreatModel(epsilon=0.002)
    assert ThreatModel(epsilon=0.0).levels == 0
    assert ThreatModel(epsilon=0.002, lattice=False).radius == 0.002


def test_an_unknown_norm_is_refused():
    with pytest.raises(ConfigError, match=r"expected a norm among linf, l2, l1, l0, got 'l3'"):
        ThreatModel(epsilon=0.1, norm="l3")


def test_snap_returns_exactly_float32_levels():
    near = torch.from_numpy(EXACT[:, None] + np.linspace(-0.49, 0.49, 99, dtype=np.float32) / 255)
    expected = np.broadcast_to(EXACT[:, None], near.shape)
    np.testing.assert_array_equal(snap(near).numpy(), expected)


@pytest.mark.gpu
def test_snap_returns_the_same_levels_on_a_gpu():
    np.testing.assert_array_equal(snap(torch.from_numpy(EXACT).cuda()).cpu().numpy(), EXACT)


def test_snap_passes_gradients_straight_through():
    x = torch.rand(5, requires_grad=True)
    weights = torch.arange(5.0)
    (weights * snap(x)).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, weights)


def test_project_clips_to_the_ball_and_the_range():
    images = snap(torch.tensor([0.0, 0.5, 1.0])).reshape(1, 1, 1, 3)
    threat = ThreatModel(epsilon=8 / 255)
    levels = (threat.project(images + 0.5, images) * 255).round().flatten().tolist()
    assert levels == [8, 128 + 8, 255]
    levels = (threat.project(images - 0.5, images) * 255).round().flatten().tolist()
    assert levels == [0, 128 - 8, 247]


def test_uniform_start_draws_every_lawful_level():
    images = snap(torch.full((1, 1, 40, 40), 0.5))
    start = uniform_start(images, threat=ThreatModel(epsilon=8 / 255), draws=[generator(0)])
    assert set((start * 255).round().flatten().tolist()) == set(range(120, 137))
    assert np.isin(start.numpy(), EXACT).all()


def test_uniform_start_fills_the_ball_off_the_lattice():
    images = torch.full((1, 1, 40, 40), 0.5)
    threat = ThreatModel(epsilon=0.1, lattice=False)
    offset = uniform_start(images, threat=threat, draws=[generator(0)]) - images
    assert 0.099 < offset.abs().max() <= 0.1 + 1e-7
    assert offset.mean().abs() < 0.01


def test_check_refuses_images_outside_the_range():
    with pytest.raises(DataError, match=r"expected images in 0\.\.1, got 0\.0\.\.255\.0"):
        ThreatModel(epsilon=0.1).check(torch.tensor([0.0, 255.0]).reshape(1, 1, 1, 2))


def test_check_refuses_images_between_levels_on_the_lattice_only():
    images = torch.full((1, 1, 1, 1), 0.3)
    ThreatModel(epsilon=0.1).check(snap(images))
    ThreatModel(epsilon=0.1, lattice=False).check(images + 0.0001)
    with pytest.raises(DataError, match=r"expected images on the lattice k/255, got values betwe"):
        ThreatModel(epsilon=0.1).check(images + 0.0001)
