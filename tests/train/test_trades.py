import torch
from torch import nn
from torch.nn import functional

from spikeproof.train.adversarial import TrainingAttack
from spikeproof.train.trades import Trades, divergence


def test_divergence_is_torchs_own():
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (torch.randn(5, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    expected = functional.kl_div(
        functional.log_softmax(theirs, 1), functional.softmax(ours, 1), reduction="none"
    ).sum(1)
    torch.testing.assert_close(divergence(ours, theirs), expected)


def test_trades_weighs_clean_loss_and_divergence(images, labels):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    attacked = 1.0 - images
    expected = functional.cross_entropy(network(images), labels)
    expected = expected + 3.0 * divergence(network(images), network(attacked)).mean()
    loss = Trades(weight=3.0)(network, images, attacked, labels)
    torch.testing.assert_close(loss, expected)


def test_trades_costs_nothing_where_nothing_moved(images, labels):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    loss = Trades(weight=3.0)(network, images, images, labels)
    torch.testing.assert_close(loss, functional.cross_entropy(network(images), labels))


def test_gradient_flows_through_both_passes(images, labels):
    def gradient(detached: bool) -> torch.Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(1)
            network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        clean = network(images)
        apart = divergence(clean.detach() if detached else clean, network(1.0 - images)).mean()
        (functional.cross_entropy(clean, labels) + 3.0 * apart).backward()
        layer = network[1]
        assert isinstance(layer, nn.Linear)
        found = layer.weight.grad
        assert found is not None
        if not detached:
            network.zero_grad()
            Trades(weight=3.0)(network, images, 1.0 - images, labels).backward()
            torch.testing.assert_close(layer.weight.grad, found)
        return found.clone()

    assert not torch.allclose(gradient(False), gradient(True))


def test_trades_attack_climbs_the_divergence(make_network, images, labels):
    network = make_network().eval()
    attack = TrainingAttack(epsilon=0.2, step_size=0.05, steps=8, kind="trades")
    start = TrainingAttack(epsilon=0.2, step_size=0.05, steps=0, kind="trades")
    moved, near = (
        a(network, images, labels, draws=torch.Generator().manual_seed(2)) for a in (attack, start)
    )
    assert 0 < (near - images).abs().max() < 0.01
    with torch.no_grad():
        far, close = (divergence(network(images), network(x)).mean() for x in (moved, near))
    assert far > 2 * close
    assert (moved - images).abs().max() <= 0.2 + 1e-6
