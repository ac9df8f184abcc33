"""What an attack knows of a model: logits, a gradient, and a choice of spike derivative."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from ..core.errors import ConfigError

Network = Callable[[Tensor], Tensor]
"""Images `[N, C, H, W]` to logits `[N, K]`: all that a gradient step needs."""


@runtime_checkable
class Target(Protocol):
    """A model under attack: the float network, the integer twin, an ordinary network."""

    @property
    def name(self) -> str:
        """What reports and error messages call it."""
        ...

    @property
    def estimators(self) -> tuple[str, ...]:
        """What `using` accepts; `("exact",)` where nothing is estimated."""
        ...

    def __call__(self, x: Float[Tensor, "N C H W"], /) -> Float[Tensor, "N K"]:
        """Logits, differentiable, of images in [0, 1]; each sample's depend on it alone."""
        ...

    def using(self, estimator: str, /) -> "Target":
        """The same forward pass to the last bit, with another derivative of a spike."""
        ...


@dataclass(frozen=True)
class FunctionTarget:
    """Any torch function or module as a target, differentiated as it is.

    Args:
        function: Differentiable, images `[N, C, H, W]` in [0, 1] to logits `[N, K]`. A module has
            to be in evaluation mode: batch statistics would tie a sample to its batch.
        name: What reports call it.
    """

    function: Network
    _: KW_ONLY
    name: str

    @property
    def estimators(self) -> tuple[str, ...]:
        """Only the exact gradient."""
        return ("exact",)

    def __call__(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K"]:
        """Logits of the function.

        Raises:
            ConfigError: If a part of the module is in training mode.
        """
        parts = self.function.modules() if isinstance(self.function, nn.Module) else ()
        if any(part.training for part in parts):
            raise ConfigError(
                f"expected target {self.name!r} in evaluation mode, got training mode; "
                "call .eval() on the module"
            )
        return self.function(x)

    def using(self, estimator: str) -> "FunctionTarget":
        """Itself.

        Raises:
            ConfigError: If `estimator` is not "exact".
        """
        if estimator not in self.estimators:
            raise ConfigError(
                f"expected the estimator 'exact' for target {self.name!r}, got {estimator!r}; "
                "it has no spikes to estimate"
            )
        return self
