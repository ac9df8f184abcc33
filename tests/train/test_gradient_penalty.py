import pytest
import torch
from torch import nn
from torch.nn import functional

from spikeproof.train.gradient_penalty import GradientPenalty, margin, strongest_rivals


class Smooth(nn.Module):
    """A differentiable toy with K logits; records what it is fed."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 5)
        self.double()
        self.seen: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x.detach())
        return self.second(torch.tanh(self.first(x.flatten(1))))


@pytest.fixture
def x() -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.rand((6, 2, 2, 2), generator=generator, dtype=torch.float64)


@pytest.fixture
def y() -> torch.Tensor:
    return torch.tensor([0, 1, 2, 3, 4, 0])


def true_margin(network, x, y):
    """The softmax of the label among itself and its strongest rival, sample by sample."""
    values = []
    for logits, label in zip(network(x), y.tolist(), strict=True):
        rival = max((k for k in range(5) if k != label), key=lambda k, o=logits: o[k].item())
        values.append(torch.softmax(logits[[label, rival]], 0)[0])
    return torch.stack(values)


def penalty(network, x, y, **options):
    """λ = 1 term alone."""
    loss = GradientPenalty(weight=1.0, **options)(network, x, x, y)
    return loss - functional.cross_entropy(network(x), y)


def test_margin_is_the_softmax_against_the_strongest_rival(x, y):
    network = Smooth()
    logits = network(x)
    rivals = strongest_rivals(logits, y)
    assert not (rivals == y).any()
    torch.testing.assert_close(margin(logits, y, rivals), true_margin(network, x, y))


@pytest.mark.parametrize(("form", "power"), [("absolute", 1), ("squared", 2)])
def test_penalty_approaches_the_l1_norm_of_the_gradient(form, power, x, y):
    network, x = Smooth(), x.requires_grad_()
    (gradient,) = torch.autograd.grad(true_margin(network, x, y).sum(), x)
    expected = (gradient.flatten(1).abs().sum(1) ** power).mean()
    torch.testing.assert_close(
        penalty(network, x, y, form=form, step=1e-6), expected, rtol=1e-4, atol=0
    )


def test_penalty_of_the_loss_approaches_the_l1_norm_of_its_gradient(x, y):
    network, x = Smooth(), x.requires_grad_()
    (gradient,) = torch.autograd.grad(functional.cross_entropy(network(x), y, reduction="sum"), x)
    expected = gradient.flatten(1).abs().sum(1).square().mean()
    torch.testing.assert_close(
        penalty(network, x, y, height="loss", step=1e-6), expected, rtol=1e-4, atol=0
    )


def test_penalty_carries_gradient_through_both_margins(x, y):
    network = Smooth()
    rivals = strongest_rivals(network(x), y)
    x.requires_grad_()
    (slope,) = torch.autograd.grad(margin(network(x), y, rivals).sum(), x)
    moved = x + 0.01 * slope.sign()
    quotient = (margin(network(moved), y, rivals) - margin(network(x), y, rivals)) / 0.01
    expected = torch.autograd.grad(quotient.square().mean(), list(network.parameters()))
    found = torch.autograd.grad(penalty(network, x, y), list(network.parameters()))
    one_sided = (margin(network(moved), y, rivals) - margin(network(x), y, rivals).detach()) / 0.01
    wrong = torch.autograd.grad(one_sided.square().mean(), list(network.parameters()))
    for ours, theirs, other in zip(found, expected, wrong, strict=True):
        torch.testing.assert_close(ours, theirs)
        assert not torch.allclose(ours, other, rtol=0.1)


def test_second_point_is_neither_clipped_nor_rounded(x, y):
    network, x = Smooth(), (x > 0.5).double()
    GradientPenalty(weight=1.0, step=0.003)(network, x, x, y)
    near, far = network.seen
    assert torch.equal(near, x)
    torch.testing.assert_close((far - x).abs(), torch.full_like(x, 0.003))
    assert far.min() < 0
    assert far.max() > 1


def test_rival_is_chosen_at_the_first_point():
    class Swap(nn.Module):
        """Class 1 leads at the image, class 2 as soon as it moves."""

        def forward(self, x):
            total = x.flatten(1).sum(1)
            return torch.stack([0 * total, 1 + 0 * total, 100 * (total - 1)], 1)

    x, y = torch.full((1, 1, 1, 1), 1.0, dtype=torch.float64), torch.tensor([0])
    assert penalty(Swap(), x, y, step=1.0).item() == 0.0


def test_zero_gradients_move_nothing(y, x):
    class Constant(nn.Module):
        def forward(self, x):
            return torch.zeros(len(x), 5, dtype=x.dtype) + 0 * x.flatten(1).sum(1, keepdim=True)

    assert penalty(Constant(), x, y).item() == 0.0


def test_both_passes_update_batch_statistics(make_network, images, labels):
    network = make_network().train()
    GradientPenalty(weight=0.1)(network, images, images, labels)
    assert network.layers.get_submodule("norm1").num_batches_tracked == 2
