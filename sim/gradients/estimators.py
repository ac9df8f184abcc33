"""How a spike is differentiated: one table, used by the float network and the integer twin alike.

The forward pass never depends on the estimator.
"""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from ...core.choice import chosen
from .adaptive_sharpness import AdaptiveSharpness
from .fired_once import FiredOnce
from .hart import HybridRate
from .potential_dependent import PotentialDependent
from .rate_gradient import RateGradient
from .slopes import Exponential, Gaussian, Rectangle, StraightThrough
from .surrogate import ArcTangent, Shape, Sigmoid, Surrogate, Triangle
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

PUBLISHED = ("triangle", "sigmoid", "arctan", "rga")
"""Those that attacks of Liu et al. 2024, appendix E, use."""

SHAPES: dict[str, Shape] = {
    "triangle": Triangle(1.0),
    "sigmoid": Sigmoid(4.0),
    "arctan": ArcTangent(2.0),
    "triangle-0.25": Triangle(0.25),
    "triangle-0.5": Triangle(0.5),
    "triangle-2": Triangle(2.0),
    "triangle-3": Triangle(3.0),
    "sigmoid-2": Sigmoid(2.0),
    "sigmoid-8": Sigmoid(8.0),
    "arctan-1": ArcTangent(1.0),
    "arctan-4": ArcTangent(4.0),
    "rectangle": Rectangle(1.0),
    "rectangle-0.25": Rectangle(0.25),
    "rectangle-0.5": Rectangle(0.5),
    "rectangle-2": Rectangle(2.0),
    "rectangle-4": Rectangle(4.0),
    "exponential": Exponential(1.0, 1.0),
    "exponential-0.5": Exponential(1.0, 0.5),
    "exponential-2": Exponential(1.0, 2.0),
    "low-exponential": Exponential(0.3, 1.0),
    "low-exponential-0.5": Exponential(0.3, 0.5),
    "low-exponential-2": Exponential(0.3, 2.0),
    "gaussian": Gaussian(1.0),
    "straight-through": StraightThrough(),
}
"""Slopes with backpropagation through time, each with an attached and a detached reset."""

DETACHED = "-detached"
"""Ends the name of an estimator that does not differentiate the reset."""

ESTIMATORS: dict[str, Estimator] = {
    entry.name: entry
    for entry in (
        *(Surrogate(name=name, shape=shape) for name, shape in SHAPES.items()),
        *(
            Surrogate(name=f"{name}{DETACHED}", shape=shape, reset="detached")
            for name, shape in SHAPES.items()
        ),
        RateGradient(name="rga", gamma=0.2),
        FiredOnce(name="bptr"),
        HybridRate(name="hart", shape=Triangle(1.0)),
        HybridRate(name="hart-0.5", shape=Triangle(0.5)),
        HybridRate(name="hart-2", shape=Triangle(2.0)),
        PotentialDependent(name="pdsg"),
        PotentialDependent(name=f"pdsg{DETACHED}", reset="detached"),
        AdaptiveSharpness(name="assg"),
        AdaptiveSharpness(name="assg-3.07", omega=3.07),
        AdaptiveSharpness(name="assg-attached", reset="attached"),
    )
}
"""Every estimator by name; a new one is a line here. A number at a name's end is a width."""


def _triangle(width: float) -> str:
    return TRAINING if width == 1.0 else f"{TRAINING}-{width:g}"


SWEEP: dict[str, Estimator] = {
    name: ESTIMATORS.get(name) or Surrogate(name=name, shape=Triangle(width))
    for name, width in ((_triangle(k / 10), k / 10) for k in range(1, 31))
}
"""Triangles of width 0.1, 0.2, ..., 3.0 (Liu et al. 2024, Table 6), for that sweep alone."""


def estimator(name: str) -> Estimator:
    """The estimator called `name`, without memories of earlier runs.

    Raises:
        ConfigError: If there is none.
    """
    entry = SWEEP.get(name) or chosen(ESTIMATORS, name, what="a gradient estimator")
    return entry.fresh() if isinstance(entry, AdaptiveSharpness) else entry
