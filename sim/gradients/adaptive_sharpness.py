"""ASSG: a surrogate whose sharpness follows how far each membrane has been from its threshold."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from ...core.errors import DataError
from .surrogate import Shape
from .whole_train import Reset, WholeTrain, steered

KEPT = 0.9
FIRST_MEAN, FIRST_DEVIATION = 1.0, 0.0
SPREADS = 1.5
TINY = 1e-4


@dataclass(frozen=True)
class Sharp:
    """φ = (α/2) / (1 + (παz/2)²) with a sharpness α per neuron."""

    sharpness: Float[Tensor, "*axes"]

    def __call__(self, z: Tensor, *, out: Tensor | None = None) -> Tensor:
        """As `surrogate.Shape`."""
        angle = torch.mul(z, self.sharpness * (torch.pi / 2), out=out)
        return angle.square_().add_(1.0).reciprocal_().mul_(self.sharpness / 2)


@dataclass
class Memory:
    """Running mean and mean deviation of |z| in one layer: sample, neuron and step each their own.

    M ← 0.9·M + 0.1·|z|,  D ← 0.9·D + 0.1·||z| − M|,  α = ω/(M + 1.5·D + 10⁻⁴)
    """

    mean: Tensor
    deviation: Tensor

    def shape_after(self, z: Tensor, *, omega: float) -> Shape:
        """The surrogate of this gradient, with `z` taken into the memory."""
        distance = z.abs()
        self.mean = KEPT * self.mean + (1 - KEPT) * distance
        off = (distance - self.mean).abs()
        self.deviation = KEPT * self.deviation + (1 - KEPT) * off
        return Sharp(omega / (self.mean + SPREADS * self.deviation + TINY))


@dataclass(frozen=True, kw_only=True)
class AdaptiveSharpness(WholeTrain):
    """Adaptive sharpness surrogate gradient (arXiv 2512.22522), arctan, detached reset.

    `fresh` gives one for one run of an attack on one batch: what it remembers belongs to the
    samples of that run. Without gradients taken before, M = 1 and D = 0.

    Args:
        name: Its key in the table.
        omega: ω = (2/π)·tan(π·A); 2.65 is A = 0.425, 3.07 is A = 0.435.
        reset: As of `Surrogate`; published detached.
    """

    name: str
    omega: float = 2.65
    reset: Reset = "detached"
    _layers: list[Memory] = field(default_factory=list, repr=False, compare=False)
    _next: list[int] = field(default_factory=lambda: [0], repr=False, compare=False)

    def fresh(self) -> "AdaptiveSharpness":
        """One that remembers nothing."""
        return AdaptiveSharpness(name=self.name, omega=self.omega, reset=self.reset)

    def begin_pass(self) -> None:
        """The last layer of the network is differentiated next."""
        self._next[0] = 0

    def backward(
        self,
        grad: Float[Tensor, "T *axes"],
        h: Float[Tensor, "T *axes"],
        *,
        theta: float | Tensor,
        decay: float | Tensor,
    ) -> Float[Tensor, "T *axes"]:
        """Gradient with respect to the neuron's input; arguments as `PotentialDependent`.

        Raises:
            DataError: If a layer has another shape than in the pass before.
        """
        z = h / theta - 1.0
        slope = self._memory(z).shape_after(z, omega=self.omega)(z) / theta
        return steered(grad, h, slope, theta=theta, decay=decay, reset=self.reset)

    def _memory(self, z: Tensor) -> Memory:
        number = self._next[0]
        self._next[0] += 1
        if number == len(self._layers):
            first = torch.full_like(z, FIRST_MEAN), torch.full_like(z, FIRST_DEVIATION)
            self._layers.append(Memory(*first))
        memory = self._layers[number]
        if memory.mean.shape != z.shape:
            raise DataError(
                f"expected the batch and layers of one run of an attack for {self.name!r}, got "
                f"{list(z.shape)} after {list(memory.mean.shape)}; choose the estimator anew"
            )
        return memory
