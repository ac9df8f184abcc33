"""NIR's continuous-time neurons as steps of `dt`: v ← decay·v + gain·x, counted from rest."""

from collections.abc import Callable

import nir
import numpy as np
import torch
from torch import Tensor

from ...core.errors import FormatError
from .layers import DelayLayer, MembraneLayer, NeuronLayer, Site

ROUNDING = 1e-6
"""A time constant shorter than dt by this share is dt, as float32 rounds it."""

NEVER = 2.0**53
"""More steps than a run has: what is that late, or later, does not arrive."""


def integrate(site: Site) -> NeuronLayer | MembraneLayer:
    """IF: v' = r·x, so decay 1 and gain r·dt. Nothing pulls it anywhere: it rests where it resets.

    Norse and SpikingJelly start such neurons at `v_reset`, too.
    """
    start = _array(site, "v_reset") if _has_reset(site) else np.zeros(1)
    gain = _array(site, "r") * site.dt
    return _neurons(site, decay=np.ones(1), gain=gain, rest=start)


def leaky(site: Site) -> NeuronLayer | MembraneLayer:
    """LIF: tau·v' = (v_leak − v) + r·x, so decay 1 − dt/tau and gain r·dt/tau; rests at v_leak."""
    decay, gain = _membrane(site, "tau")
    return _neurons(site, decay=decay, gain=gain, rest=_array(site, "v_leak"))


def current_based(site: Site) -> NeuronLayer | MembraneLayer:
    """CubaLIF: a LIF whose input is a current, tau_syn·i' = −i + w_in·x, taken after its step."""
    decay, gain = _membrane(site, "tau_mem")
    synapse, weight = _synapse(site)
    return _neurons(
        site, decay=decay, gain=gain * weight, synapse=synapse, rest=_array(site, "v_leak")
    )


def threshold(site: Site) -> NeuronLayer | MembraneLayer:
    """Threshold: fires where its input is above, and keeps nothing."""
    return _neurons(site, field="threshold", decay=np.zeros(1), gain=np.ones(1), rest=np.zeros(1))


def integrator(site: Site) -> MembraneLayer:
    """I: v' = r·x, never fires."""
    return _integrators(site, decay=np.ones(1), gain=_array(site, "r") * site.dt)


def leaky_integrator(site: Site) -> MembraneLayer:
    """LI: as LIF, never fires."""
    decay, gain = _membrane(site, "tau")
    return _integrators(site, decay=decay, gain=gain, rest=_array(site, "v_leak"))


def current_based_integrator(site: Site) -> MembraneLayer:
    """CubaLI: as CubaLIF, never fires."""
    decay, gain = _membrane(site, "tau_mem")
    synapse, weight = _synapse(site)
    return _integrators(
        site, decay=decay, gain=gain * weight, synapse=synapse, rest=_array(site, "v_leak")
    )


def delay(site: Site) -> DelayLayer:
    """Delay: whole time steps."""
    steps = _array(site, "delay") / site.dt
    if (steps < 0).any() or (np.abs(steps - steps.round()) > ROUNDING * np.abs(steps)).any():
        worst = steps.flat[np.abs(steps - steps.round()).argmax()]
        raise site.unsupported(
            f"delays of whole time steps of {site.dt:g}", f"{worst:g} steps", "give another dt"
        )
    whole = np.broadcast_to(np.minimum(steps.round(), NEVER).astype(np.int64), site.shape)
    same = whole.size > 0 and (whole == whole.flat[0]).all()
    found = int(whole.flat[0]) if same else torch.as_tensor(whole.copy(), device=site.device)
    return DelayLayer(shape=site.shape, steps=found)


Dynamic = NeuronLayer | MembraneLayer | DelayLayer
NEURONS: dict[type[nir.NIRNode], Callable[[Site], Dynamic]] = {
    nir.IF: integrate,
    nir.LIF: leaky,
    nir.CubaLIF: current_based,
    nir.Threshold: threshold,
    nir.I: integrator,
    nir.LI: leaky_integrator,
    nir.CubaLI: current_based_integrator,
    nir.Delay: delay,
}


def _membrane(site: Site, field: str) -> tuple[np.ndarray, np.ndarray]:
    """Decay and gain of a leaky membrane."""
    tau, r = _array(site, field), _array(site, "r")
    if site.integration == "exponential":
        keeps = np.exp(-site.dt / _positive(site, field, tau))
        return keeps, r * (1.0 - keeps)
    # (r·dt)/tau and not r·(dt/tau): with r = tau/dt the gain is then exactly 1.
    return _kept(site, field, tau), r * site.dt / tau


def _synapse(site: Site) -> tuple[np.ndarray, np.ndarray]:
    """Decay of the current, and what it adds of its input."""
    tau, weight = _array(site, "tau_syn"), _array(site, "w_in")
    if site.integration == "exponential":
        keeps = np.exp(-site.dt / _positive(site, "tau_syn", tau))
        return keeps, weight * (1.0 - keeps)
    return _kept(site, "tau_syn", tau), weight * site.dt / tau


def _kept(site: Site, field: str, tau: np.ndarray) -> np.ndarray:
    """1 − dt/τ."""
    if (tau < site.dt * (1.0 - ROUNDING)).any():
        raise site.unsupported(
            f"{field} >= dt = {site.dt:g}",
            f"{tau.min():g}",
            "give the dt the network was written for",
        )
    return np.maximum(1.0 - site.dt / tau, 0.0)


def _positive(site: Site, field: str, tau: np.ndarray) -> np.ndarray:
    if (tau <= 0).any():
        raise site.unsupported(f"{field} > 0", f"{tau.min():g}", "correct the time constant")
    return tau


def _neurons(
    site: Site,
    *,
    decay: np.ndarray,
    gain: np.ndarray,
    rest: np.ndarray,
    synapse: np.ndarray | None = None,
    field: str = "v_threshold",
) -> NeuronLayer | MembraneLayer:
    level = _array(site, field)
    theta, reset = level - rest, _reset(site) - rest
    if (theta <= 0).any():
        above = float(np.broadcast_to(rest, theta.shape).flat[theta.argmin()])
        raise site.unsupported(
            f"{field} > {above:g}, where the membrane rests",
            f"{theta.min() + above:g}",
            "rescale the layer before it",
        )
    shared = {
        "shape": site.shape,
        "theta": _parameter(site, theta),
        "decay": _parameter(site, decay),
        "gain": _parameter(site, gain),
    }
    subtracts = site.reset == "subtract"
    if synapse is None and (not reset.any() or not decay.any()) and not subtracts:
        return NeuronLayer(**shared)
    return MembraneLayer(
        **shared,
        synapse=0.0 if synapse is None else _parameter(site, synapse),
        reset=_parameter(site, reset),
        drop=_parameter(site, level) if subtracts else None,
    )


def _integrators(
    site: Site,
    *,
    decay: np.ndarray,
    gain: np.ndarray,
    synapse: np.ndarray | None = None,
    rest: np.ndarray | None = None,
) -> MembraneLayer:
    return MembraneLayer(
        shape=site.shape,
        theta=None,
        decay=_parameter(site, decay),
        gain=_parameter(site, gain),
        synapse=0.0 if synapse is None else _parameter(site, synapse),
        rest=0.0 if rest is None else _parameter(site, rest),
    )


def _has_reset(site: Site) -> bool:
    return site.fields.get("v_reset") is not None


def _reset(site: Site) -> np.ndarray:
    """Where a membrane that fired is set to; nothing but 0 unless the file's values are to count.

    Raises:
        UnsupportedNodeError: If the node states another value and the reset is no "value".
    """
    value = _array(site, "v_reset") if _has_reset(site) else np.zeros(1)
    if value.any() and site.reset != "value":
        raise site.unsupported(
            f"v_reset = 0 for reset {site.reset!r}",
            f"{value.flat[np.abs(value).argmax()]:g}",
            "give --reset value if neurons are set to it",
        )
    return value


def _array(site: Site, field: str) -> np.ndarray:
    """A parameter of the layer, broadcastable to its shape.

    Some frameworks write a single value, one a channel, or a batch axis of length 1 before it.

    Raises:
        FormatError: If it has another shape.
    """
    value = site.array(field)
    if value.size == 1:
        # not without axes: numpy would turn results into scalars
        return value.reshape((1,) * len(site.shape))
    if value.shape == (1, *site.shape):
        return value[0]
    fits = value.ndim == len(site.shape) and all(
        n in (1, m) for n, m in zip(value.shape, site.shape, strict=True)
    )
    if not fits:
        raise FormatError(
            f"expected {field!r} of shape {site.shape} at node {site.name!r}, got {value.shape}; "
            "NIR neurons have one parameter per neuron"
        )
    return value


def _parameter(site: Site, value: np.ndarray) -> float | Tensor:
    """One number where all neurons agree, which is quicker and the same; else one per neuron."""
    tensor = site.tensor(value)
    if bool(torch.all(tensor == tensor.flatten()[0])):
        return float(tensor.flatten()[0])
    return tensor.expand(site.shape)
