"""Estimators that see whole trains, against slow loops over single neurons."""

import math

import pytest
import torch

from spikeproof.core.errors import DataError, UnsupportedNodeError
from spikeproof.sim.gradients.adaptive_sharpness import AdaptiveSharpness
from spikeproof.sim.gradients.estimators import ESTIMATORS, estimator
from spikeproof.sim.gradients.fired_once import FiredOnce
from spikeproof.sim.gradients.hart import HybridRate
from spikeproof.sim.gradients.potential_dependent import PotentialDependent, spread
from spikeproof.sim.gradients.surrogate import ArcTangent, Surrogate, Triangle
from spikeproof.sim.gradients.whole_train import WholeTrain, begin_pass, steered
from spikeproof.sim.neurons.neuron import integrate_and_fire

THETA, DECAY = 0.8, 0.75
WHOLE = [name for name, each in ESTIMATORS.items() if isinstance(each, WholeTrain)]


@pytest.fixture
def train():
    """Membranes and gradients `[T, N, C, H, W]`."""
    draws = torch.Generator().manual_seed(3)
    return torch.randn(2, 4, 3, 2, 2, 2, generator=draws).double().unbind(0)


@pytest.mark.parametrize("reset", ["attached", "detached"])
def test_given_slopes_are_followed_as_surrogates_follow_theirs(train, reset):
    h, grad = train
    slope = ArcTangent(2.0)(h / THETA - 1) / THETA
    found = steered(grad, h, slope, theta=THETA, decay=DECAY, reset=reset)
    surrogate = Surrogate(name="a", shape=ArcTangent(2.0), reset=reset)
    expected = surrogate.backward(grad, h, theta=THETA, decay=DECAY)
    torch.testing.assert_close(found, expected)


def test_hart_gives_every_step_the_mean_of_all(train):
    h, grad = train
    found = HybridRate(name="hart", shape=Triangle(1.0)).backward(grad, h, theta=THETA, decay=DECAY)
    for place in [(0, 0, 0, 0), (2, 1, 0, 1)]:
        each = [
            float(grad[t][place]) * max(0.0, 1 - abs(float(h[t][place]) / THETA - 1)) / THETA
            for t in range(4)
        ]
        assert found[(slice(None), *place)].tolist() == pytest.approx([sum(each) / 4] * 4)


def test_bptr_lets_through_what_fired_at_all():
    h = torch.tensor([[0.1, 0.9, 0.8], [0.2, 0.3, 0.8]])
    grad = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    found = FiredOnce().backward(grad, h, theta=THETA, decay=DECAY)
    assert found.tolist() == [[0.0, 2.0, 0.0], [0.0, 5.0, 0.0]]


def test_spread_is_that_of_a_sample_and_channel_so_far(train):
    z, _ = train
    for t, n, c in [(0, 0, 0), (3, 2, 1)]:
        assert spread(z)[t, n, c].item() == pytest.approx(z[: t + 1, n, c].std().item())
    assert spread(z[..., 0, 0])[2, 1].item() == pytest.approx(z[:3, 1, :, 0, 0].std().item())
    assert (spread(torch.full((3, 2, 4), 0.3)) == 1).all()


def test_pdsg_has_a_gaussian_as_wide_as_the_spread():
    h = torch.tensor([[[0.2, 1.4, 0.9]]])
    z = h / THETA - 1
    sigma = z.std().item()
    found = PotentialDependent().backward(torch.ones_like(h), h, theta=THETA, decay=DECAY)
    expected = [
        math.exp(-((float(x) - sigma / 2) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(math.tau))
        for x in z[0, 0]
    ]
    assert found[0, 0].tolist() == pytest.approx([x / THETA for x in expected], rel=1e-5)


def test_assg_sharpens_with_what_it_has_seen():
    how, (h, one) = AdaptiveSharpness(name="assg").fresh(), (torch.tensor([[[1.0]]]), torch.ones(1))
    mean, deviation, z = 1.0, 0.0, 1.0 / THETA - 1
    for _ in range(3):
        how.begin_pass()
        found = how.backward(one[None, None], h, theta=THETA, decay=DECAY).item()
        mean = 0.9 * mean + 0.1 * abs(z)
        deviation = 0.9 * deviation + 0.1 * abs(abs(z) - mean)
        sharp = 2.65 / (mean + 1.5 * deviation + 1e-4)
        expected = sharp / 2 / (1 + (math.pi * sharp * z / 2) ** 2) / THETA
        assert found == pytest.approx(expected, rel=1e-5)


def test_assg_remembers_within_a_run_and_forgets_between_runs(train):
    h, grad = train

    def run(how):
        how.begin_pass()
        return how.backward(grad, h, theta=THETA, decay=DECAY)

    first = estimator("assg")
    once, twice = run(first), run(first)
    assert not torch.equal(once, twice)
    assert torch.equal(run(estimator("assg")), once)


def test_assg_refuses_another_batch_in_the_middle_of_a_run(train):
    h, grad = train
    how = estimator("assg")
    how.backward(grad, h, theta=THETA, decay=DECAY)
    begin_pass(how)
    with pytest.raises(DataError, match="one run of an attack for 'assg'.*choose the estimator"):
        how.backward(grad[:, :2], h[:, :2], theta=THETA, decay=DECAY)


@pytest.mark.parametrize("name", WHOLE)
def test_a_sample_has_its_gradient_in_any_slot_and_company(name):
    x = torch.randn(4, 3, 2, 2, 2, generator=torch.Generator().manual_seed(1))

    def gradients(samples):
        how, found = estimator(name), torch.empty(0)
        for _ in range(2):
            begin_pass(how)
            given = x[:, samples].clone().requires_grad_()
            spikes = integrate_and_fire(given, theta=THETA, decay=DECAY, estimator=how)
            (found,) = torch.autograd.grad(spikes.square().sum(), given)
        return found

    everyone = gradients([0, 1, 2])
    assert torch.equal(gradients([2, 0]), everyone[:, [2, 0]])
    assert everyone.abs().max() > 0


@pytest.mark.parametrize("name", WHOLE)
def test_whole_trains_cannot_be_undone_step_by_step(name):
    with pytest.raises(UnsupportedNodeError, match=f"goes step by step .* got '{name}'; choose"):
        estimator(name).unroll(torch.ones(2, 3), theta=1.0, decay=1.0)
