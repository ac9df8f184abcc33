import pytest
import torch
from torch import nn

from spikeproof.attacks.target import FunctionTarget, Target
from spikeproof.core.errors import ConfigError


def test_a_function_target_returns_what_its_function_returns():
    target: Target = FunctionTarget(lambda x: x.flatten(1), name="pixels")
    x = torch.rand(3, 1, 2, 2)
    torch.testing.assert_close(target.using("exact")(x), x.flatten(1), rtol=0, atol=0)


def test_a_function_target_refuses_a_module_in_training_mode():
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 2)).eval()
    target = FunctionTarget(network, name="small")
    assert target(torch.rand(3, 1, 2, 2)).shape == (3, 2)
    network[1].train()
    with pytest.raises(ConfigError, match=r"'small' in evaluation mode, got training mode"):
        target(torch.rand(3, 1, 2, 2))


def test_a_function_target_refuses_a_spike_derivative():
    target = FunctionTarget(lambda x: x.flatten(1), name="pixels")
    with pytest.raises(ConfigError, match=r"estimator 'exact' for target 'pixels', got 'rga'"):
        target.using("rga")
