"""Norse's cells in NIR's terms, in float64: what Norse's own exporter gets wrong or leaves out.

Norse 1.1 writes tau = dt/tau_mem_inv where it computes with 1/tau_mem_inv, r = 1 for IF neurons
that take their input undivided by dt, w_in = 1 for currents that jump by their input, and no
reset. Here each parameter is what Norse's step functions compute with.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from norse.torch.functional.reset import reset_subtract, reset_value
from norse.torch.module.iaf import IAF, IAFCell
from norse.torch.module.leaky_integrator import LI, LICell
from norse.torch.module.leaky_integrator_box import LIBoxCell
from norse.torch.module.lif import LIF, LIFCell
from norse.torch.module.lif_box import LIFBoxCell
from torch import nn

from .graph import Cell

RESETS = {reset_value: "value", reset_subtract: "subtract"}


@dataclass(frozen=True, kw_only=True)
class NorseCell:
    """A cell's node, the reset that it needs (None for integrators), and its time step."""

    cell: Cell
    reset: str | None
    dt: float


def _iaf(p: Any, dt: float) -> tuple[str, dict[str, Any]]:
    """v ← v + x: NIR's r·dt is 1."""
    return "IF", {"r": 1.0 / dt, "v_threshold": p.v_th, "v_reset": p.v_reset}


def _lif_box(p: Any, dt: float) -> tuple[str, dict[str, Any]]:
    """v ← v + dt·tau_mem_inv·(v_leak − v + x)."""
    del dt
    fields = {"tau": 1.0 / _float64(p.tau_mem_inv), "r": 1.0, "v_leak": p.v_leak}
    return "LIF", fields | {"v_threshold": p.v_th, "v_reset": p.v_reset}


def _lif(p: Any, dt: float) -> tuple[str, dict[str, Any]]:
    """i ← (1 − dt·tau_syn_inv)·i + x, then as the box."""
    _, fields = _lif_box(p, dt)
    return "CubaLIF", _current(p, dt) | fields


def _li_box(p: Any, dt: float) -> tuple[str, dict[str, Any]]:
    del dt
    return "LI", {"tau": 1.0 / _float64(p.tau_mem_inv), "r": 1.0, "v_leak": p.v_leak}


def _li(p: Any, dt: float) -> tuple[str, dict[str, Any]]:
    _, fields = _li_box(p, dt)
    return "CubaLI", _current(p, dt) | fields


def _current(p: Any, dt: float) -> dict[str, Any]:
    tau = 1.0 / _float64(p.tau_syn_inv)
    return {"tau_syn": tau, "w_in": tau / dt}


CELLS: dict[type[nn.Module], Callable[[Any, float], tuple[str, dict[str, Any]]]] = {
    IAFCell: _iaf,
    IAF: _iaf,
    LIFBoxCell: _lif_box,
    LIFCell: _lif,
    LIF: _lif,
    LIBoxCell: _li_box,
    LICell: _li,
    LI: _li,
}
"""Cells take a step, the others a train."""


def read_cell(module: nn.Module) -> NorseCell | str:
    """A cell in NIR's terms, or what would have been accepted."""
    p, dt = module.p, float(module.dt)  # type: ignore[arg-type]
    kind, fields = CELLS[type(module)](p, dt)
    if kind.startswith("Cuba"):
        fields["tau_mem"] = fields.pop("tau")
    spiking = "v_threshold" in fields
    reset = RESETS.get(getattr(p, "reset_method", reset_value))
    if reset is None:
        return "a cell with Norse's reset_value or reset_subtract"
    parameters = {key: _float64(value) for key, value in fields.items()}
    if reset == "subtract":
        # Norse takes v_th away and does not look at v_reset.
        parameters["v_reset"] = np.zeros(1)
    cell = Cell(kind=kind, parameters=parameters)
    return NorseCell(cell=cell, reset=reset if spiking else None, dt=dt)


def _float64(value: Any) -> np.ndarray:
    """At least one axis, so that results stay arrays."""
    found = torch.as_tensor(value).detach().cpu().double()
    return (found.reshape(1) if found.ndim == 0 else found).numpy().copy()
