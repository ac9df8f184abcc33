from typing import Any

import pytest
import torch
from torch.nn import functional

from spikeproof.train.adversarial import TrainingAttack
from spikeproof.train.config import TrainConfig
from spikeproof.train.gradient_penalty import GradientPenalty
from spikeproof.train.methods import METHODS
from spikeproof.train.objective import Objective, cross_entropy, objective
from spikeproof.train.orthogonality import Orthogonality
from spikeproof.train.trades import Trades


@pytest.fixture
def draws() -> torch.Generator:
    return torch.Generator().manual_seed(4)


class Spy:
    """An attack whose images are known."""

    def __init__(self, images: torch.Tensor) -> None:
        self.images = images

    def __call__(self, network, images, labels, *, draws, share):
        del network, labels, draws, share
        return 1.0 - images


def test_vanilla_is_cross_entropy(make_network, images, labels, draws):
    network = make_network().train()
    loss = Objective()(network, images, labels, draws=draws)
    expected = functional.cross_entropy(make_network().train()(images), labels)
    assert torch.equal(loss, expected)


@pytest.mark.parametrize("method", ["sr", "srstar", "gr", "rat"])
def test_zero_weight_costs_and_gives_what_the_plain_method_does(
    method, make_network, images, labels
):
    plain = {"sr": "vanilla", "srstar": "at", "gr": "vanilla", "rat": "at"}[method]
    losses = [
        objective(TrainConfig(method=name))(
            make_network().train(), images, labels, draws=torch.Generator().manual_seed(1)
        )
        for name in (method, plain)
    ]
    assert objective(TrainConfig(method=method)).loss is cross_entropy
    assert torch.equal(*losses)


PARTS = {
    "vanilla": (False, cross_entropy, None),
    "at": (True, cross_entropy, None),
    "rat": (True, cross_entropy, Orthogonality(weight=0.1)),
    "gr": (False, GradientPenalty(weight=0.1, height="loss"), None),
    "sr": (False, GradientPenalty(weight=0.1), None),
    "srstar": (True, GradientPenalty(weight=0.1), None),
    "trades": (True, Trades(weight=6.0), None),
}
WEIGHTS: dict[str, dict[str, Any]] = {
    "rat": {"orthogonality_weight": 0.1},
    **{key: {"penalty_weight": 0.1} for key in ("gr", "sr", "srstar")},
}


@pytest.mark.parametrize("method", METHODS)
def test_methods_have_their_parts(method):
    made = objective(TrainConfig(method=method, **WEIGHTS.get(method, {})))
    assert (made.attack is not None, made.loss, made.after_step) == PARTS[method]


def test_sr_star_only_uses_the_attacked_images(make_network, images, labels, draws):
    penalty = GradientPenalty(weight=0.5)
    both = Objective(attack=Spy(images), loss=penalty)
    network, seen = make_network().train(), []
    network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    loss = both(network, images, labels, draws=draws)
    expected = penalty(make_network().train(), images, 1.0 - images, labels)
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


def test_training_attack_in_the_l2_ball_fills_it_and_raises_the_loss(
    make_network, images, labels, draws
):
    network, middle = make_network().eval(), 0.25 + 0.5 * images
    attack = TrainingAttack(epsilon=0.2, step_size=0.1, steps=5, kind="pgd-l2")
    attacked = attack(network, middle, labels, draws=draws)
    sizes = (attacked - middle).flatten(1).norm(dim=1)
    assert sizes.tolist() == pytest.approx([0.2] * len(images), abs=1e-5)
    clean, worse = (functional.cross_entropy(network(x), labels) for x in (middle, attacked))
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


@pytest.mark.parametrize("kind", ["fgsm", "rfgsm"])
def test_one_step_attacks_reach_the_corners(kind, make_network, images, labels, draws):
    attack = TrainingAttack(epsilon=0.1, step_size=9.0, steps=9, kind=kind)
    middle = 0.25 + 0.5 * images
    moved = (attack(make_network().eval(), middle, labels, draws=draws) - middle).abs()
    allowed = torch.tensor([0.0, 0.05, 0.1])
    assert ((moved[..., None] - allowed).abs().min(-1).values < 1e-6).all()
    assert (moved > 0.09).float().mean() > (0.9 if kind == "fgsm" else 0.3)


def test_fgsm_draws_nothing(make_network, images, labels):
    attack = TrainingAttack(epsilon=0.1, step_size=0.1, steps=1, kind="fgsm")
    one, two = (
        attack(make_network(), images, labels, draws=torch.Generator().manual_seed(seed))
        for seed in (1, 2)
    )
    assert torch.equal(one, two)
