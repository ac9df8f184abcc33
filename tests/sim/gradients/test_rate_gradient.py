"""The rate gradient: a neuron's slope is read off its mean input alone."""

import pytest
import torch

from spikeproof.sim.gradients.estimators import estimator
from spikeproof.sim.gradients.rate_gradient import RateGradient
from spikeproof.sim.neurons.neuron import integrate_and_fire


def slopes(x, *, theta=1.0, decay=1.0, grad=None, rga=None):
    """Gradient with respect to each input of neurons that saw `x`, `[T, N]`."""
    x = torch.as_tensor(x, dtype=torch.float64).requires_grad_()
    spikes = integrate_and_fire(x, theta=theta, decay=decay, estimator=rga or RateGradient())
    (found,) = torch.autograd.grad(spikes, x, torch.ones_like(x) if grad is None else grad)
    return found


def held(*values, steps=4):
    return torch.tensor([list(values)]).repeat(steps, 1)


def test_an_if_neuron_has_half_between_silence_and_saturation_and_more_at_zero():
    found = slopes(held(-0.25, 0.0, 0.25, 1.0, 2.0, 2.25))
    torch.testing.assert_close(found[0], torch.tensor([0, 0.7, 0.5, 0.5, 0.5, 0]).to(found))


def test_a_lif_neuron_has_two_pieces_that_overlap_at_their_joint():
    found = slopes(held(-0.25, 0.0, 0.25, 0.5, 0.75, 2.0, 2.25), decay=0.5)
    expected = [0.0, 0.2, 0.2, 0.8, 0.6, 0.6, 0.0]
    torch.testing.assert_close(found[0], torch.tensor(expected).to(found))


def test_the_slope_is_in_units_of_the_threshold():
    found = slopes(held(-1.0, 2.0, 8.0, 9.0), theta=4.0)
    torch.testing.assert_close(found[0], torch.tensor([0, 0.125, 0.125, 0]).to(found))


def test_gamma_weighs_the_lower_piece():
    found = slopes(held(0.25, 0.75), decay=0.5, rga=RateGradient(gamma=0.5))
    expected = [0.5, (1 - 0.5 + 0.25) / 1.5]
    torch.testing.assert_close(found[0], torch.tensor(expected).to(found))


def test_only_the_mean_over_time_counts():
    uneven = torch.tensor([[4.0], [-2.0], [0.0], [-1.0]])
    assert torch.equal(slopes(uneven), slopes(held(0.25)))
    assert slopes(uneven * 9).unique().tolist() == [0.0]


@pytest.mark.parametrize("decay", [1.0, 0.75, 0.5])
def test_the_mean_input_is_recovered_from_the_membrane(decay):
    x = torch.randn(16, 200, generator=torch.Generator().manual_seed(1)).double() * 3
    mean, leak = x.mean(0), 1.0 - decay
    main = (1 - 0.2 + 0.2 * decay) / (1 + decay) * ((mean >= leak) & (mean <= 2))
    expected = main + 0.2 * ((mean >= 0) & (mean <= leak))
    torch.testing.assert_close(slopes(x, decay=decay), expected.double().expand(16, -1))


def test_gradients_do_not_cross_steps():
    grad = torch.zeros(4, 1, dtype=torch.float64)
    grad[2] = 3.0
    assert slopes(held(0.5), grad=grad)[:, 0].tolist() == [0.0, 0.0, 1.5, 0.0]


def test_the_table_holds_the_published_gamma():
    assert estimator("rga") == RateGradient(gamma=0.2)
