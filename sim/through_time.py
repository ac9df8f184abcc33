"""Backpropagation through time, one step at a time, so that whatever loops can be unrolled too."""

from collections.abc import Callable

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
