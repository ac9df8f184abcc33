import pytest
import torch
from torch import nn

from spikeproof.tests.train.residual import random_wide_resnet
from spikeproof.train.orthogonality import Orthogonality, on_simplex, retracted
from spikeproof.train.wiring import Mixture


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def tightness(matrix):
    """‖W·Wᵀ − 1‖²."""
    return (matrix @ matrix.T - torch.eye(len(matrix), dtype=matrix.dtype)).square().sum()


def test_retraction_is_a_gradient_step_on_the_tightness():
    matrix = torch.randn(4, 7, generator=draws(), dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(tightness(matrix) / 4, matrix)
    torch.testing.assert_close(retracted(matrix.detach(), 0.01), matrix.detach() - 0.01 * gradient)


def test_orthogonal_rows_stay():
    matrix = torch.linalg.qr(torch.randn(7, 4, generator=draws(), dtype=torch.float64))[0].T
    torch.testing.assert_close(retracted(matrix, 0.3), matrix)


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(3, 5, 3), nn.Linear(20, 6)], ids=["convolution", "dense"]
)
def test_layers_come_closer_to_orthogonal(layer):
    before = tightness(layer.weight.detach().flatten(1))
    for _ in range(50):
        Orthogonality(weight=0.1)(nn.Sequential(layer), draws=draws())
    assert tightness(layer.weight.detach().flatten(1)) < before / 10


def test_convolutions_change_alike_however_they_lie_in_memory():
    plain, last = nn.Conv2d(3, 5, 3), nn.Conv2d(3, 5, 3)
    last.load_state_dict(plain.state_dict())
    last.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    before = plain.weight.detach().clone()
    for layer in (plain, last):
        Orthogonality(weight=0.1)(nn.Sequential(layer), draws=draws())
    assert not torch.equal(plain.weight, before)
    torch.testing.assert_close(last.weight, plain.weight)
    assert last.weight.is_contiguous(memory_format=torch.channels_last)


def test_large_dense_layers_change_in_a_random_share_of_rows():
    layer = nn.Linear(8, 200)
    before = layer.weight.detach().clone()
    Orthogonality(weight=0.1)(layer, draws=draws(1))
    changed = (layer.weight != before).any(dim=1)
    assert int(changed.sum()) == 60
    again = nn.Linear(8, 200)
    again.weight.data.copy_(before)
    Orthogonality(weight=0.1)(again, draws=draws(2))
    assert not torch.equal((again.weight != before).any(dim=1), changed)


def test_biases_and_norms_are_left_alone(make_network):
    network = make_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    Orthogonality(weight=0.1)(network, draws=draws())
    changed = {n for n, value in network.state_dict().items() if not torch.equal(value, before[n])}
    expected = {f"layers.{n}.weight" for n in ("conv1", "conv2", "dense1", "readout")}
    assert changed == expected


@pytest.mark.parametrize("seed", range(5))
def test_simplex_projection_is_the_nearest_point(seed):
    weights = torch.randn(2, generator=draws(seed), dtype=torch.float64)
    share = torch.linspace(0, 1, 100_001, dtype=torch.float64)
    simplex = torch.stack([share, 1 - share], dim=1)
    nearest = simplex[(simplex - weights).square().sum(1).argmin()]
    torch.testing.assert_close(on_simplex(weights), nearest, rtol=0, atol=1e-5)


def test_simplex_projection_leaves_the_simplex_alone():
    weights = torch.tensor([0.1, 0.0, 0.6, 0.3], dtype=torch.float64)
    torch.testing.assert_close(on_simplex(weights), weights, rtol=0, atol=1e-15)


def test_residual_sums_are_projected():
    network = random_wide_resnet()
    sums = [module for module in network.modules() if isinstance(module, Mixture)]
    sums[0].weight.data = torch.tensor([0.9, 0.3])
    Orthogonality(weight=0.1)(network, draws=draws())
    torch.testing.assert_close(sums[0].weight.data, torch.tensor([0.8, 0.2]))
    assert all(s.weight.sum().item() == pytest.approx(1.0) for s in sums)
