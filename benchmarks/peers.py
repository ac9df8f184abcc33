"""Other libraries' layers of neurons, called as their documentation does."""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from norse.torch.functional.iaf import IAFFeedForwardState, IAFParameters, iaf_feed_forward_step
from torch import Tensor

Layer = Callable[[Tensor], Tensor]
"""Currents [T, N, ...] to spikes; θ = 1, no leak, hard reset, differentiable through the reset."""

VERSIONS = {"spikingjelly": "2.0.0", "snntorch": "1.0.0"}
"""Those that goals were set for; the extra `bench` installs them."""


def norse() -> Layer:
    """Norse's IAF step function in a loop over steps, its triangle as wide as ours."""
    one, zero = torch.tensor(1.0), torch.tensor(0.0)
    parameters = IAFParameters(v_th=one, v_reset=zero, method="triangle", alpha=1.0)

    def layer(x: Tensor) -> Tensor:
        state, spikes = IAFFeedForwardState(v=torch.zeros_like(x[0])), []
        for current in x:
            fired, state = iaf_feed_forward_step(current, state, parameters)
            spikes.append(fired)
        return torch.stack(spikes)

    return layer


def spikingjelly() -> Layer:
    """SpikingJelly's IFNode over all steps at once."""
    library = _library("spikingjelly", "spikingjelly.activation_based")
    triangle = library.surrogate.PiecewiseQuadratic(alpha=1.0)
    node = library.neuron.IFNode(surrogate_function=triangle, step_mode="m")

    def layer(x: Tensor) -> Tensor:
        library.functional.reset_net(node)
        return node(x)

    return layer


def snntorch() -> Layer:
    """snnTorch's Leaky without a leak in a loop over steps, with its own triangle."""
    library = _library("snntorch", "snntorch")
    cell = library.Leaky(
        beta=1.0,
        spike_grad=library.surrogate.triangular(),
        reset_mechanism="zero",
        reset_delay=False,
    )

    def layer(x: Tensor) -> Tensor:
        v, spikes = torch.zeros_like(x[0]), []
        for current in x:
            fired, v = cell(current, v)
            spikes.append(fired)
        return torch.stack(spikes)

    return layer


PEERS: dict[str, Callable[[], Layer]] = {
    "norse": norse,
    "spikingjelly": spikingjelly,
    "snntorch": snntorch,
}


def _library(name: str, module: str) -> Any:
    """A library of the version that goals were set for; exits 2 without it."""
    wanted = VERSIONS[name]
    try:
        found, got = import_module(module), version(name)
        for part in ("neuron", "surrogate", "functional") if name == "spikingjelly" else ():
            import_module(f"{module}.{part}")
    except (ImportError, PackageNotFoundError) as error:
        got, found = repr(error), None
    if got != wanted:
        print(f"NOT MEASURED: expected {name}=={wanted}, got {got}; install the extra 'bench'")
        raise SystemExit(2)
    return found
