import pytest
import torch

from spikeproof.attacks.target import Target
from spikeproof.core.errors import ConfigError
from spikeproof.train.target import NetworkTarget, frozen


def input_gradient(target: Target, x: torch.Tensor) -> torch.Tensor:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(target(x).square().sum(), x)[0]


def test_target_evaluates_the_network(make_network, images):
    target = NetworkTarget(make_network().train())
    assert torch.equal(target(images), make_network().eval()(images))
    assert not any(p.requires_grad for p in target.network.parameters())


def test_target_using_another_estimator_keeps_the_first_as_it_was(make_network, images):
    target: Target = NetworkTarget(make_network())
    before, other = input_gradient(target, images), target.using("sigmoid")
    assert torch.equal(other(images), target(images))
    assert not torch.equal(input_gradient(other, images), before)
    assert torch.equal(input_gradient(target, images), before)


def test_target_gradient_belongs_to_its_own_forward_pass(make_network, images):
    target = NetworkTarget(make_network())
    expected, x = input_gradient(target, images), images.clone().requires_grad_()
    logits = target(x)
    target.using("rga")(images)
    assert torch.equal(torch.autograd.grad(logits.square().sum(), x)[0], expected)


def test_target_lists_what_it_accepts(make_network):
    target = NetworkTarget(make_network())
    assert {target.using(name).estimator_name for name in target.estimators} == set(
        NetworkTarget.estimators
    )
    with pytest.raises(ConfigError, match="expected a gradient estimator among"):
        target.using("exact")


def test_frozen_restores_mode_and_gradients(make_network):
    network = make_network().train()
    network.layers[0].bias.requires_grad_(False)
    with frozen(network):
        assert not network.training
        assert not any(p.requires_grad for p in network.parameters())
    assert network.training
    assert [p.requires_grad for p in network.layers[0].parameters()] == [True, False]
