"""How a spike is differentiated: one table, used by the float network and the integer twin alike.

The forward pass never depends on the estimator.
"""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from ..core.choice import chosen
from .rate_gradient import RateGradient
from .surrogate import ArcTangent, Sigmoid, Surrogate, Triangle
from .through_time import StepBack


@runtime_checkable
class Estimator(Protocol):
    """Turns the gradient with respect to a layer's spikes into one with respect to its input."""

    @property
    def name(self) -> str:
        """Its key in the table."""
        ...

    def backward(
        self,
        grad: Float[Tensor, "T *axes"],
        h: Float[Tensor, "T *axes"],
        *,
        theta: float | Tensor,
        decay: float | Tensor,
    ) -> Float[Tensor, "T *axes"]:
        """Gradient with respect to x in v ← λ·v + x, from the membrane `h` before its reset."""
        ...

    def unroll(
        self, h: Float[Tensor, "T *axes"], *, theta: float | Tensor, decay: float | Tensor
    ) -> StepBack:
        """The same gradient step by step, for spikes that return to where they came from."""
        ...


TRAINING = "triangle"
"""The estimator that networks are trained with (Liu et al. 2024, appendix D)."""

ESTIMATORS: dict[str, Estimator] = {
    entry.name: entry
    for entry in (
        Surrogate(name="triangle", shape=Triangle(1.0)),
        Surrogate(name="sigmoid", shape=Sigmoid(4.0)),
        Surrogate(name="arctan", shape=ArcTangent(2.0)),
        RateGradient(name="rga", gamma=0.2),
    )
}
"""The four of Liu et al. 2024, appendix E; a new one is a line here."""


def estimator(name: str) -> Estimator:
    """The estimator called `name`.

    Raises:
        ConfigError: If there is none.
    """
    return chosen(ESTIMATORS, name, what="a gradient estimator")
