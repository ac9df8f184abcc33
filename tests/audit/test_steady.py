import pytest
import torch

from spikeproof.attacks.target import FunctionTarget
from spikeproof.audit.steady import steady_logits
from spikeproof.core.errors import ConfigError


class Poisson:
    """A model behind an encoder that draws black and white at random."""

    estimators = ("exact",)

    def __init__(self, inner, name):
        self.inner, self.name = inner, name

    def __call__(self, x):
        return self.inner((torch.rand(x.shape) < x).to(x) + x - x.detach())

    def using(self, estimator):
        assert estimator == "exact"
        return self


def test_a_random_encoder_is_refused(audited, float_toy):
    with pytest.raises(ConfigError, match="same logits of the same images from target 'dice'"):
        audited(float_toy, Poisson(float_toy, "dice"))


def test_differences_of_rounding_are_no_draws():
    noise = iter([0.0, 1e-6])
    target = FunctionTarget(lambda x: x[:, 0, 0] + next(noise), name="sums in any order")
    assert steady_logits(target, torch.zeros(2, 1, 2, 3)).shape == (2, 3)
