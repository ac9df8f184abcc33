"""One layer of Norse neurons, all its time steps at once."""

import torch
from jaxtyping import Float
from norse.torch.functional.iaf import (
    IAFFeedForwardState,
    IAFParameters,
    iaf_feed_forward_step,
)
from norse.torch.functional.lif_box import (
    LIFBoxFeedForwardState,
    LIFBoxParameters,
    lif_box_feed_forward_step,
)
from torch import Tensor, nn

from ..core.errors import ConfigError
from ..sim.gradients.estimators import TRAINING, Estimator, estimator
from ..sim.neurons.neuron import FUSED, integrate_and_fire
from .network_config import NetworkConfig

DT = 1.0
"""Time step: Norse's dt·tau_mem_inv is 1 − λ. A power of two keeps the product exact."""


class Spiking(nn.Module):
    """Integrate-and-fire neurons with hard reset: v ← λ·v + x; spike if v > θ; then v ← 0.

    `neuron` holds Norse's own parameters (IF for λ = 1, else the LIF box). The spikes are computed
    by one differentiable operation over all steps, equal to Norse's step function in a loop
    (`reference`), which needs a fifth of the time and a third of the memory.

    Norse's cell modules are not used: their initial state turns a default tensor that all cells
    share into one that requires a gradient.

    Args:
        theta: Threshold θ > 0.
        decay: λ in (0, 1]; 1 is IF.
        estimator_name: How a spike is differentiated, a name of `sim.gradients.estimators`.

    Raises:
        ConfigError: If a value is out of range, or the estimator unknown.
    """

    def __init__(
        self, *, theta: float = 1.0, decay: float = 1.0, estimator_name: str = TRAINING
    ) -> None:
        super().__init__()
        if not theta > 0 or not 0 < decay <= 1:
            raise ConfigError(
                f"expected theta > 0 and decay in (0, 1], got {theta} and {decay}; "
                "use decay 1 for IF neurons"
            )
        self.theta = float(theta)
        self.decay = float(decay)
        self.estimator: Estimator = estimator(estimator_name)
        """How a spike is differentiated."""
        self.kernel_name = FUSED
        """A name of `sim.neurons.neuron.KERNELS`; the spikes are the same under each."""
        self.neuron: IAFParameters | LIFBoxParameters = _parameters(self.theta, self.decay)

    def forward(self, x: Float[Tensor, "T N *axes"]) -> Float[Tensor, "T N *axes"]:
        """Spikes, 0 or 1, from input currents; time first."""
        return integrate_and_fire(
            x,
            theta=self.theta,
            decay=self.decay,
            estimator=self.estimator,
            kernel_name=self.kernel_name,
        )

    def reference(self, x: Float[Tensor, "T N *axes"]) -> Float[Tensor, "T N *axes"]:
        """The same spikes from Norse's step function, one step after the other.

        Norse's LIF box computes v + (1 − λ)·(i − v), so it is fed i = x/(1 − λ). Its derivative of
        a spike is Norse's own, not that of `estimator`.
        """
        v, spikes = torch.zeros_like(x[0]), []
        for current in x:
            if isinstance(self.neuron, LIFBoxParameters):
                fired, box = lif_box_feed_forward_step(
                    current / (1.0 - self.decay), LIFBoxFeedForwardState(v), self.neuron, dt=DT
                )
                v = box.v
            else:
                fired, state = iaf_feed_forward_step(current, IAFFeedForwardState(v), self.neuron)
                v = state.v
            spikes.append(fired)
        return torch.stack(spikes)

    def extra_repr(self) -> str:
        """What `print(network)` shows."""
        return f"theta={self.theta}, decay={self.decay}, estimator={self.estimator.name}"


class Rectified(Spiking):
    """max(0, x) in the place of neurons: what makes an ordinary network of the same layers."""

    def forward(self, x: Float[Tensor, "T N *axes"]) -> Float[Tensor, "T N *axes"]:
        """The rectified input; steps do not know of each other."""
        return x.relu()


def neurons_of(config: NetworkConfig) -> Spiking:
    """One layer of the neurons that a network has."""
    if config.neuron == "relu":
        return Rectified()
    return Spiking(theta=config.theta, decay=config.decay)


def _parameters(theta: float, decay: float) -> IAFParameters | LIFBoxParameters:
    """Norse's parameters, as 0-dimensional float64 tensors: they never change the input's dtype."""
    v_th, zero = torch.tensor(theta, dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64)
    if decay == 1.0:
        return IAFParameters(v_th=v_th, v_reset=zero)
    tau_mem_inv = torch.tensor((1.0 - decay) / DT, dtype=torch.float64)
    return LIFBoxParameters(tau_mem_inv=tau_mem_inv, v_leak=zero, v_th=v_th, v_reset=zero)
