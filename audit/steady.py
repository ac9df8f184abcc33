"""Models that draw at random are refused: attacks here follow one gradient, not an expectation."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..attacks.target import Target
from ..core.errors import ConfigError

TOLERANCE = 1e-3
"""Of logits: devices that sum in any order differ by far less, other draws of spikes by more."""


def steady_logits(target: Target, images: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K"]:
    """Logits of images that are shown twice.

    Against a random encoder, gradients would have to be averaged over its draws, and every point
    judged many times (Athalye et al. 2018, expectation over transformation). Judged once, noise
    passes for robustness at one point and for an attack's success at another.

    Raises:
        ConfigError: If they differ the second time.
    """
    with torch.no_grad():
        first, second = (target(images) for _ in range(2))
    if not torch.allclose(first, second, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
        raise ConfigError(
            f"expected the same logits of the same images from target {target.name!r}, got others "
            "the second time; fix its random draws: an audit does not average over them"
        )
    return first
