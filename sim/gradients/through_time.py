"""Backpropagation through time, one step at a time, so that whatever loops can be unrolled too."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

StepBack = Callable[[int, Tensor, Tensor], None]
"""Of step t: gradient with respect to its spikes in, that with respect to its input written out.

Called for the last step first, once for each step. What is written may take the place of the
membrane of that step, and stays as it is until the step before is called.
"""


def through_time(
    step: StepBack, grad: Float[Tensor, "T *axes"], *, out: Float[Tensor, "T *axes"]
) -> Float[Tensor, "T *axes"]:
    """Gradient with respect to the input of every step, written into `out`."""
    rows = list(enumerate(zip(grad.unbind(0), out.unbind(0), strict=True)))
    for t, (given, found) in reversed(rows):
        step(t, given, found)
    return out


class StepByStep(ABC):
    """An estimator that goes back one step at a time, so that loops can be undone with it."""

    name: str

    def backward(
        self,
        grad: Float[Tensor, "T *axes"],
        h: Float[Tensor, "T *axes"],
        *,
        theta: float | Tensor,
        decay: float | Tensor,
    ) -> Float[Tensor, "T *axes"]:
        """Gradient with respect to the neuron's input.

        Args:
            grad: Gradient with respect to the spikes.
            h: Membrane before the reset, same axes.
            theta: Threshold, in the unit of `h`; a number or per neuron.
            decay: λ of v ← λ·v + x.

        Returns:
            Gradient with respect to x, same axes.
        """
        step = self.unroll(h, theta=theta, decay=decay)
        return through_time(step, grad, out=torch.empty_like(h))

    @abstractmethod
    def unroll(
        self, h: Float[Tensor, "T *axes"], *, theta: float | Tensor, decay: float | Tensor
    ) -> StepBack:
        """The same step by step; arguments as `backward`."""
