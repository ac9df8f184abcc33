"""Estimators that see a train with all its steps and axes, and those that remember a run."""

from abc import ABC, abstractmethod
from typing import Literal, NoReturn, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ...core.errors import UnsupportedNodeError
from .through_time import through_time

Reset = Literal["attached", "detached"]


class WholeTrain(ABC):
    """Needs every step at once, or to know which axis counts samples.

    Whoever differentiates calls `backward` with the axes `[T, N, …]` and never cuts a train up.
    """

    name: str

    @abstractmethod
    def backward(
        self,
        grad: Float[Tensor, "T *axes"],
        h: Float[Tensor, "T *axes"],
        *,
        theta: float | Tensor,
        decay: float | Tensor,
    ) -> Float[Tensor, "T *axes"]:
        """Gradient with respect to the neuron's input; arguments as `StepByStep.backward`."""

    def unroll(
        self, h: Float[Tensor, "T *axes"], *, theta: float | Tensor, decay: float | Tensor
    ) -> NoReturn:
        """Refuses: a spike that returns to its own population can only be undone step by step.

        Raises:
            UnsupportedNodeError: Always.
        """
        del h, theta, decay
        raise UnsupportedNodeError(
            f"expected a gradient estimator that goes step by step through a loop, got "
            f"{self.name!r}; choose another one for networks whose spikes return"
        )


@runtime_checkable
class Remembering(Protocol):
    """An estimator that learns over the gradients of one run of an attack."""

    def begin_pass(self) -> None:
        """Told before each forward pass: layers follow in the same order as in the last one."""
        ...


def begin_pass(estimator: object) -> None:
    """Tells an estimator that remembers of a new pass through the network."""
    if isinstance(estimator, Remembering):
        estimator.begin_pass()


def steered(
    grad: Float[Tensor, "T *axes"],
    h: Float[Tensor, "T *axes"],
    slope: Float[Tensor, "T *axes"],
    *,
    theta: float | Tensor,
    decay: float | Tensor,
    reset: Reset,
) -> Float[Tensor, "T *axes"]:
    """Backpropagation through time as `Surrogate` has it, with a slope ds/dh given per step."""
    carried: Tensor | None = None

    def step(t: int, given: Tensor, out: Tensor) -> None:
        nonlocal carried
        torch.mul(given, slope[t], out=out)
        if carried is not None:
            kept = (h[t] <= theta).to(h)
            if reset == "attached":
                kept = kept - h[t] * slope[t]
            out.addcmul_(carried, kept)
        carried = out * decay

    return through_time(step, grad, out=torch.empty_like(h))
