import pytest
import torch
from torch.nn import functional

from spikeproof.train.adversarial import TrainingAttack
from spikeproof.train.config import TrainConfig
from spikeproof.train.objective import Objective, objective
from spikeproof.train.sparsity import GradientSparsity


@pytest.fixture
def draws() -> torch.Generator:
    return torch.Generator().manual_seed(4)


class Spy:
    """An attack whose images are known."""

    def __init__(self, images: torch.Tensor) -> None:
        self.images = images

    def __call__(self, network, images, labels, *, draws):
        del network, labels, draws
        return 1.0 - images


def test_vanilla_is_cross_entropy(make_network, images, labels, draws):
    network = make_network().train()
    loss = Objective()(network, images, labels, draws=draws)
    expected = functional.cross_entropy(make_network().train()(images), labels)
    assert torch.equal(loss, expected)


@pytest.mark.parametrize("method", ["sr", "srstar"])
def test_zero_weight_costs_and_gives_what_the_plain_method_does(
    method, make_network, images, labels
):
    plain = {"sr": "vanilla", "srstar": "at"}[method]
    losses = [
        objective(TrainConfig(method=name))(
            make_network().train(), images, labels, draws=torch.Generator().manual_seed(1)
        )
        for name in (method, plain)
    ]
    assert objective(TrainConfig(method=method)).sparsity is None
    assert torch.equal(*losses)


def test_methods_have_their_parts():
    def parts(method: str, **options) -> tuple[bool, bool]:
        made = objective(TrainConfig(method=method, **options))
        return made.attack is not None, made.sparsity is not None

    assert parts("vanilla") == (False, False)
    assert parts("at") == (True, False)
    assert parts("sr", sparsity_weight=0.1) == (False, True)
    assert parts("srstar", sparsity_weight=0.1) == (True, True)


def test_sr_star_only_uses_the_attacked_images(make_network, images, labels, draws):
    sparsity = GradientSparsity(weight=0.5)
    both = Objective(attack=Spy(images), sparsity=sparsity)
    network, seen = make_network().train(), []
    network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    loss = both(network, images, labels, draws=draws)
    expected = sparsity.loss(make_network().train(), 1.0 - images, labels)
    assert torch.equal(loss, expected)
    assert [(x - (1.0 - images)).abs().max().item() <= 0.011 for x in seen] == [True, True]


def test_training_attack_stays_in_the_ball_and_raises_the_loss(make_network, images, labels, draws):
    network = make_network().train()
    attack = TrainingAttack(epsilon=0.1, step_size=0.05, steps=5)
    attacked = attack(network, images, labels, draws=draws)
    assert (attacked - images).abs().max() <= 0.1 + 1e-6
    assert attacked.min() >= 0
    assert attacked.max() <= 1
    network.eval()
    clean, worse = (functional.cross_entropy(network(x), labels) for x in (images, attacked))
    assert worse > clean


def test_training_attack_leaves_the_network_as_it_was(make_network, images, labels, draws):
    network = make_network().train()
    attack = TrainingAttack(epsilon=0.1, step_size=0.05, steps=2)
    attack(network, images, labels, draws=draws)
    assert network.training
    assert all(p.requires_grad and p.grad is None for p in network.parameters())
    for name, value in make_network().state_dict().items():
        assert torch.equal(network.state_dict()[name], value)


def test_training_attack_depends_on_its_generator_only(make_network, images, labels):
    attack = TrainingAttack(epsilon=0.1, step_size=0.001, steps=1)

    def attacked(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return attack(make_network().train(), images, labels, draws=generator)

    assert torch.equal(attacked(1), attacked(1))
    assert not torch.equal(attacked(1), attacked(2))
