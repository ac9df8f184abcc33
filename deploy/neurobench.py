"""A chip's metrics under NeuroBench's names and by its definitions.

Yik et al. 2025, "The NeuroBench framework for benchmarking neuromorphic computing algorithms and
systems" (Nature Communications 16, 1545), algorithm track, as version 2.3 of its package counts.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from ..sim.program import Population, Program, Synapse
from ..sim.telemetry import fan_out

BYTES = {"vth": 4, "du": 2, "dv": 2, "bias": 2}
"""Of a number of 17, 13, 13 and 16 bits; a weight takes one, or two where one does not hold it."""


def neurobench(
    program: Program,
    *,
    sent: Mapping[str, Float[np.ndarray, "..."]],
    multiplies: bool,
    steps: int,
) -> dict[str, Any]:
    """Metrics of a run, an inference each.

    `Footprint`: bytes of all weights and parameters of neurons, as they are stored; registers are
    state and not in it. `ConnectionSparsity`: share of stored weights that are 0.
    `ActivationSparsity`: share of neurons and steps without a spike; what is read and never fires
    is no activation. `SynapticOperations`: messages that arrive, times the weights other than 0
    that each meets, as `Effective_MACs` behind an input whose payload multiplies and as
    `Effective_ACs` else; `Dense` counts every input and weight. Zeros of a padding do not count.

    Args:
        program: What ran.
        sent: By source and population, messages of each neuron over all steps, a mean over
            samples, `[*shape]`.
        multiplies: Whether a payload other than −1, 0 and 1 was sent.
        steps: T.
    """
    weights = [synapse.weight for synapse in program.synapses]
    stored = sum(w.size for w in weights)
    active = [p for p in program.populations if not _only_read(program, p.name)]
    fired = math.fsum(float(sent[p.name].sum()) for p in active)
    effective = {"Effective_MACs": 0.0, "Effective_ACs": 0.0}
    for synapse in program.synapses:
        is_product = multiplies and program.source(synapse.source) is not None
        kind = "Effective_MACs" if is_product else "Effective_ACs"
        reached = fan_out(synapse, program.shapes[synapse.source]).numpy()
        effective[kind] += float((sent[synapse.source] * reached).sum())
    return {
        "Footprint": sum(map(_bytes, weights)) + sum(map(_parameters, program.populations)),
        "ConnectionSparsity": 1.0 - sum(int(np.count_nonzero(w)) for w in weights) / stored,
        "ActivationSparsity": 1.0 - fired / (steps * sum(p.size for p in active)),
        "SynapticOperations": effective
        | {"Dense": float(steps * sum(_dense(s, program) for s in program.synapses))},
    }


def lines(found: Mapping[str, Any]) -> list[str]:
    """The metrics for people."""
    operations = [f"{k} {value:.4g}" for k, value in found["SynapticOperations"].items()]
    return [
        f"NeuroBench: Footprint {found['Footprint']} bytes, ConnectionSparsity "
        f"{found['ConnectionSparsity']:.4f}, ActivationSparsity {found['ActivationSparsity']:.4f}, "
        f"{', '.join(operations)}"
    ]


def _only_read(program: Program, name: str) -> bool:
    reading = program.readout
    return reading is not None and reading.population == name and reading.kind != "spikes"


def _bytes(weight: np.ndarray) -> int:
    peak = max(int(weight.max(initial=0)), -1 - int(weight.min(initial=0)))
    return weight.size * (1 if peak < 128 else 2)


def _parameters(population: Population) -> int:
    values = {key: getattr(population, key) for key in BYTES}
    return sum(BYTES[key] * np.size(value) for key, value in values.items() if value is not None)


def _dense(synapse: Synapse, program: Program) -> float:
    """Inputs times weights that each meets, zeros counted."""
    whole = Synapse(**{**vars(synapse), "weight": np.ones_like(synapse.weight)})
    return float(fan_out(whole, program.shapes[synapse.source]).sum())
