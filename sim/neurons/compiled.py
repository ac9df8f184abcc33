"""The multi-step neuron through torch.compile: all steps in one pass over memory each way."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ...core.errors import ConfigError, MissingAbilityError
from ..gradients.estimators import Estimator

VARIANTS = 64
"""Compiled versions of a function: values, types, numbers of steps. One more is an error."""


def check_numbers(name: str, theta: float | Tensor, decay: float | Tensor) -> None:
    """Refuses one value per neuron.

    Raises:
        ConfigError: If there is one.
    """
    if not (isinstance(theta, float) and isinstance(decay, float)):
        raise ConfigError(
            f"expected one threshold and one decay for the neuron kernel {name!r}, got one per "
            "neuron; use the kernel 'fused'"
        )


class Compiled:
    """Needs what torch's compiler needs: on a CPU a C++ compiler, and half a minute at first."""

    def forward(
        self,
        x: Float[Tensor, "T M"],
        *,
        theta: float | Tensor,
        decay: float | Tensor,
        keeps: bool,
    ) -> tuple[Float[Tensor, "T M"], Float[Tensor, "T M"] | None]:
        """As `neuron.Kernel.forward`."""
        check_numbers("compiled", theta, decay)
        return _run(_forward, x, theta, decay, keeps)

    def backward(
        self,
        grad: Float[Tensor, "T M"],
        h: Float[Tensor, "T M"],
        *,
        theta: float | Tensor,
        decay: float | Tensor,
        estimator: Estimator,
        overwrites: bool,
    ) -> Float[Tensor, "T M"]:
        """As `neuron.Kernel.backward`, always in new memory."""
        del overwrites
        return _run(_backward, grad, h, theta, decay, estimator)


def _forward(x: Tensor, theta: float, decay: float, keeps: bool) -> tuple[Tensor, Tensor | None]:
    spikes, history = [], []
    v: Tensor | None = None
    for now in x.unbind(0):
        h = now if v is None else now + (v if decay == 1.0 else v * decay)
        fired = (h > theta).to(x.dtype)
        v = torch.addcmul(h, h, fired, value=-1.0)
        spikes.append(fired)
        history.append(h)
    return torch.stack(spikes), torch.stack(history) if keeps else None


def _backward(grad: Tensor, h: Tensor, theta: float, decay: float, estimator: Estimator) -> Tensor:
    step, found = estimator.unroll(h, theta=theta, decay=decay), []
    for t in reversed(range(len(h))):
        found.append(torch.empty_like(h[t]))
        step(t, grad[t], found[-1])
    return torch.stack(found[::-1])


@cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    # As `fused`, every operation rounds to the type that it works in, and none is contracted.
    options: dict[str, Any] = {"emulate_precision_casts": True}
    return torch.compile(function, fullgraph=True, dynamic=True, options=options)


def _run(function: Callable[..., Any], *given: Any) -> Any:
    # Here, because this import takes seconds that only this kernel needs.
    from torch._dynamo.exc import BackendCompilerFailed

    try:
        with torch._dynamo.config.patch(recompile_limit=VARIANTS):
            return _compiled(function)(*given)
    except BackendCompilerFailed as error:
        said = str(error).strip().splitlines()[0]
        raise MissingAbilityError(
            f"expected a compiler that torch.compile can use, got none ({said}); install a C++ "
            "compiler, or use the neuron kernel 'fused'"
        ) from error
