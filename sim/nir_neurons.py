"""NIR's continuous-time neurons as steps of `dt`: v ← decay·v + gain·x."""

from collections.abc import Callable

import nir
import numpy as np
import torch
from torch import Tensor

from ..core.errors import FormatError
from .nir_layers import NeuronLayer, Site


def integrate(site: Site) -> NeuronLayer:
    """IF: v' = r·x, so decay 1 and gain r·dt."""
    return _neurons(site, decay=np.ones(()), gain=site.array("r") * site.dt)


def leaky(site: Site) -> NeuronLayer:
    """LIF: tau·v' = (v_leak − v) + r·x, so decay 1 − dt/tau and gain r·dt/tau; v_leak is 0."""
    tau = site.array("tau")
    if (tau < site.dt).any():
        raise site.unsupported(
            f"tau >= dt = {site.dt:g}", f"{tau.min():g}", "give the dt the network was written for"
        )
    _require_zero(site, "v_leak")
    # (r·dt)/tau and not r·(dt/tau): with r = tau/dt the gain is then exactly 1.
    return _neurons(site, decay=1.0 - site.dt / tau, gain=site.array("r") * site.dt / tau)


NEURONS: dict[type[nir.NIRNode], Callable[[Site], NeuronLayer]] = {
    nir.IF: integrate,
    nir.LIF: leaky,
}


def _neurons(site: Site, *, decay: np.ndarray, gain: np.ndarray) -> NeuronLayer:
    theta = site.array("v_threshold")
    if (theta <= 0).any():
        raise site.unsupported("v_threshold > 0", f"{theta.min():g}", "rescale the layer before it")
    if site.fields.get("v_reset") is not None:
        _require_zero(site, "v_reset")
    return NeuronLayer(
        shape=site.shape,
        theta=_parameter(site, "v_threshold", theta),
        decay=_parameter(site, "tau", decay),
        gain=_parameter(site, "r", gain),
    )


def _require_zero(site: Site, field: str) -> None:
    value = site.array(field)
    if value.any():
        worst = value.flat[np.abs(value).argmax()]
        raise site.unsupported(
            f"{field} = 0", f"{worst:g}", "shift the membrane so that it rests at 0"
        )


def _parameter(site: Site, field: str, value: np.ndarray) -> float | Tensor:
    """One number where all neurons agree, which is quicker and the same; else one per neuron.

    A single value stands for the whole layer, as some frameworks write it.
    """
    if value.size != 1 and value.shape != site.shape:
        raise FormatError(
            f"expected {field!r} of shape {site.shape} at node {site.name!r}, got {value.shape}; "
            "NIR neurons have one parameter per neuron"
        )
    tensor = site.tensor(value)
    if bool(torch.all(tensor == tensor.flatten()[0])):
        return float(tensor.flatten()[0])
    return tensor
