"""Anything that is to be driven up, as a model under attack: every attack then climbs it."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from .target import FunctionTarget

Objective = Callable[[Tensor], Tensor]
"""Images `[N, C, H, W]` in [0, 1] to a number a sample, differentiable."""

LOSS = "margin"
"""The loss of `loss.LOSSES` that is the objective itself, for labels 0."""


def objective_target(objective: Objective, *, name: str) -> FunctionTarget:
    """Two classes, of which class 1 wins where the objective is above 0.

    With labels 0, the margin is the objective, cross entropy rises with it (log(1 + e^objective)),
    and a sample is fooled where it is above 0. So the point of largest loss is the highest one.

    Args:
        objective: What is driven up; of the order of 1, for cross entropy resolves no more.
        name: What reports and errors call it.
    """

    def logits(x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N 2"]:
        value = objective(x).to(x.dtype)
        return torch.stack([torch.zeros_like(value), value], dim=1)

    return FunctionTarget(logits, name=name)
