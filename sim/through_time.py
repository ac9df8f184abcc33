"""Backpropagation through time, one step at a time, so that whatever loops can be unrolled too."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

StepBack = Callable[[int, Tensor, Tensor], None]
"""Of step t: gradient with respect to its spikes in, that with respect to its input written out.

Called for the last step first, once for each step.
"""


def through_time(
    step: StepBack, grad: Float[Tensor, "T *axes"], like: Float[Tensor, "T *axes"]
) -> Float[Tensor, "T *axes"]:
    """Gradient with respect to the input of every step, in the type of `like`."""
    out = torch.empty_like(like)
    for t in reversed(range(out.shape[0])):
        step(t, grad[t], out[t])
    return out
