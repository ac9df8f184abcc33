"""The float network as attacks see it."""

from collections.abc import Iterator
from contextlib import contextmanager

from jaxtyping import Float
from torch import Tensor, nn

from ..sim.gradients.estimators import ESTIMATORS, TRAINING, estimator
from ..sim.gradients.whole_train import begin_pass
from .network import SpikingNetwork


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Within the block: evaluation mode, and no gradient for any parameter.

    Attacks only need the input's gradient; frozen weights save the memory of theirs.
    """
    was_training = network.training
    learnt = [p for p in network.parameters() if p.requires_grad]
    network.eval()
    for parameter in learnt:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        network.train(was_training)
        for parameter in learnt:
            parameter.requires_grad_(True)


class NetworkTarget:
    """A float network to attack: in evaluation mode, its parameters frozen for good.

    Args:
        network: Taken over; `using` shares it.
        name: What reports call it.
        estimator_name: How its spikes are differentiated.

    Raises:
        ConfigError: If the estimator is unknown.
    """

    estimators: tuple[str, ...] = tuple(ESTIMATORS)

    def __init__(
        self, network: SpikingNetwork, *, name: str = "float", estimator_name: str = TRAINING
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.name = name
        self._estimator = estimator(estimator_name)

    def __call__(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K"]:
        """Logits of images in [0, 1]; differentiable in `x`."""
        # Backward remembers the estimator of its own forward, so targets can share the network.
        self.network.set_estimator(self._estimator)
        begin_pass(self._estimator)
        return self.network(x)

    @property
    def estimator_name(self) -> str:
        """How its spikes are differentiated."""
        return self._estimator.name

    def using(self, estimator: str) -> "NetworkTarget":
        """The same network, its spikes differentiated in another way."""
        return NetworkTarget(self.network, name=self.name, estimator_name=estimator)
