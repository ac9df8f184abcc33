import torch
from torch import nn

from spikeproof.attacks.lattice import snap
from spikeproof.attacks.loss import cross_entropy, input_gradient, is_fooled
from spikeproof.core.decision import predictions


def test_predictions_give_ties_to_the_lowest_class():
    logits = torch.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [0.0, 0.0, 1.0]])
    assert predictions(logits).tolist() == [1, 0, 2]
    assert is_fooled(logits, torch.tensor([2, 0, 2])).tolist() == [True, False, False]


def test_cross_entropy_is_the_negative_log_probability_of_the_label():
    logits, labels = torch.randn(4, 3, dtype=torch.float64), torch.tensor([0, 2, 1, 1])
    expected = -logits.softmax(dim=1)[torch.arange(4), labels].log()
    torch.testing.assert_close(cross_entropy(logits, labels), expected)


def test_input_gradient_is_that_of_the_summed_loss_and_leaves_parameters_alone():
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    x, labels = torch.rand(5, 1, 2, 2), torch.arange(5) % 3
    with torch.no_grad():  # the caller's mode does not matter
        logits, gradient = input_gradient(network, x, labels, see=snap)
    expected = (network(snap(x)).softmax(1) - nn.functional.one_hot(labels, 3)) @ network[1].weight
    torch.testing.assert_close(gradient.flatten(1), expected.detach())
    assert not logits.requires_grad
    assert all(parameter.grad is None for parameter in network.parameters())
