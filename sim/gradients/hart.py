"""HART: a spike's gradient, averaged over the time window, reaches every input of it."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from .surrogate import Shape
from .whole_train import WholeTrain


@dataclass(frozen=True, kw_only=True)
class HybridRate(WholeTrain):
    """∂L/∂x_t = (1/T)·Σ_k g_k·φ(z_k)/θ for every t (Hao et al. 2024, HART).

    No path through the membrane. The width of φ is chosen once a model, on other data than those
    that are attacked; the sweep holds several.
    """

    name: str
    shape: Shape

    def backward(
        self,
        grad: Float[Tensor, "T *axes"],
        h: Float[Tensor, "T *axes"],
        *,
        theta: float | Tensor,
        decay: float | Tensor,
    ) -> Float[Tensor, "T *axes"]:
        """Gradient with respect to the neuron's input; arguments as `StepByStep.backward`."""
        del decay
        each = grad * self.shape(h / theta - 1.0) / theta
        return each.mean(0, keepdim=True).expand(h.shape).contiguous()
