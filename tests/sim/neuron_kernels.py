"""What every kernel of the neuron has to equal, and by how much."""

from dataclasses import dataclass

import torch

from spikeproof.sim.gradients.estimators import Estimator
from spikeproof.sim.neurons.neuron import FUSED, integrate_and_fire


@dataclass(frozen=True, kw_only=True)
class Run:
    """Spikes, and the gradient of a weighted sum of them."""

    spikes: torch.Tensor
    gradient: torch.Tensor


def run(name: str, x: torch.Tensor, *, estimator: Estimator, theta=0.7, decay=0.9) -> Run:
    """One kernel forward and backward."""
    x = x.detach().requires_grad_()
    spikes = integrate_and_fire(x, theta=theta, decay=decay, estimator=estimator, kernel_name=name)
    weights = torch.linspace(-1.0, 2.0, spikes.numel()).view(spikes.shape).to(spikes)
    (gradient,) = torch.autograd.grad(spikes, x, weights)
    return Run(spikes=spikes.detach(), gradient=gradient)


def assert_equals_fused(name: str, x: torch.Tensor, *, estimator: Estimator, **values) -> None:
    """Spikes to the last bit; gradients up to the order of sums, `values` going to both."""
    ours = run(name, x, estimator=estimator, **values)
    fused = run(FUSED, x, estimator=estimator, **values)
    assert torch.equal(ours.spikes, fused.spikes)
    assert 0.05 < fused.spikes.float().mean() < 0.5
    assert ours.gradient.stride() == fused.gradient.stride()
    near = {torch.float32: 1e-5, torch.float64: 1e-13, torch.bfloat16: 0.05}[x.dtype]
    largest = float(fused.gradient.abs().max())
    torch.testing.assert_close(ours.gradient, fused.gradient, rtol=0.0, atol=near * largest)


def currents(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Inputs that make one neuron in eight fire."""
    generator = torch.Generator().manual_seed(7)
    return (torch.randn(shape, generator=generator) * 0.5 + 0.1).to(dtype)
