"""What a run costs on a chip: operations counted on the twin, energy and time as estimates.

Operations are exact for the samples that ran. Energy and time are ranges, from the energy and time
of one operation as published for the chip (`chip_file.Cost`): no chip was measured.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float

from ..core.axes import lava_to_train
from ..sim.program import Program, Synapse
from ..sim.telemetry import fan_out
from .chip_file import Chip
from .placement import Placement
from .tiles import Box, Fan

PICO, NANO = 1e-12, 1e-9
Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Operations:
    """Of one source or population, a mean over samples.

    Args:
        node: Its name.
        synaptic_operations: Messages that arrive, times the weights other than 0 each meets.
        neuron_updates: Neurons times steps.
        spikes: Sent.
        messages: Spikes, times the cores that each goes to.
        cores: That hold it; 0 of a source.
    """

    node: str
    synaptic_operations: float
    neuron_updates: float
    spikes: float
    messages: float
    cores: int


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What an inference costs.

    Args:
        operations: By source and population.
        steps: From the first input to the last logit.
        energy: Joules, from and to; None where the chip publishes no energy of an operation.
        latency: Seconds, from and to; None likewise.
        sources: Where the chip's figures are published.
    """

    operations: tuple[Operations, ...]
    steps: int
    energy: Range | None
    latency: Range | None
    sources: Mapping[str, str]

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        keys = ("synaptic_operations", "neuron_updates", "spikes", "messages")
        return {
            "operations": [asdict(each) for each in self.operations],
            "total": {key: sum(getattr(o, key) for o in self.operations) for key in keys},
            "steps": self.steps,
            "energy_joules": None if self.energy is None else list(self.energy),
            "latency_seconds": None if self.latency is None else list(self.latency),
            "sources": dict(self.sources),
            "are": "estimates: operations counted on the integer twin, times published figures",
        }


def costs(
    program: Program,
    placement: Placement,
    chip: Chip,
    *,
    sent: Mapping[str, Float[np.ndarray, "..."]],
    steps: int,
) -> Costs:
    """What a run costs, by what was sent in it.

    Args:
        program: What ran.
        placement: Where it lies on the chip.
        chip: Which.
        sent: By source and population, messages of each neuron over all steps, a mean over
            samples, `[*shape]`.
        steps: T.
    """
    cut = {t.population: t for t in placement.tilings}
    operations = [
        Operations(
            node=node.name,
            synaptic_operations=math.fsum(
                _synops(s, program, sent) for s in program.into(node.name)
            ),
            neuron_updates=0.0 if node.name not in cut else float(math.prod(node.shape) * steps),
            spikes=float(sent[node.name].sum()),
            messages=math.fsum(
                _messages(s, program, sent, cut[s.target].box)
                for s in program.synapses
                if s.source == node.name
            ),
            cores=cut[node.name].count if node.name in cut else 0,
        )
        for node in (*program.sources, *program.populations)
    ]
    depth = max(p.phase for p in program.populations)
    return Costs(
        operations=tuple(operations),
        steps=steps + depth + 1,
        energy=_energy(operations, chip),
        latency=_latency(operations, chip, steps=steps, depth=depth),
        sources={name: cost.source for name, cost in chip.costs.items()},
    )


def _synops(synapse: Synapse, program: Program, sent: Mapping[str, np.ndarray]) -> float:
    reached = fan_out(synapse, program.shapes[synapse.source]).numpy()
    return float((sent[synapse.source] * reached).sum())


def _messages(
    synapse: Synapse, program: Program, sent: Mapping[str, np.ndarray], box: Box
) -> float:
    cores = Fan.of(synapse, program.shapes, box).per_neuron(program.shapes[synapse.source])
    return float((sent[synapse.source] * cores).sum())


def golden_messages(
    program: Program, golden: Mapping[str, np.ndarray]
) -> dict[str, Float[np.ndarray, "..."]]:
    """What was sent in a bundle's golden samples, for `costs`.

    Args:
        program: The bundle's, of one source.
        golden: Arrays of its `golden.npz`.
    """
    samples = len(golden["predictions"])
    sent = {program.sources[0].name: (lava_to_train(golden["x"]) != 0).sum(0) / samples}
    return sent | {
        p.name: golden[f"s{k}"].astype(np.float64).sum(0).mean(0)
        for k, p in enumerate(program.populations)
    }


def _energy(operations: list[Operations], chip: Chip) -> Range | None:
    """Σ operations · energy of one."""
    counted = {
        "synaptic_operation": sum(o.synaptic_operations for o in operations),
        "neuron_update": sum(o.neuron_updates for o in operations),
        "message": sum(o.messages for o in operations),
    }
    if not counted.keys() <= chip.costs.keys():
        return None
    low, high = (
        PICO * sum(n * chip.costs[name].energy[end] for name, n in counted.items())
        for end in (0, 1)
    )
    return low, high


def lines(found: dict[str, object]) -> list[str]:
    """A cost report (`Costs.to_json`) for people."""
    total = found["total"]
    assert isinstance(total, dict)
    counted = ", ".join(f"{value:.4g} {key.replace('_', ' ')}" for key, value in total.items())
    return [
        f"an inference: {counted} in {found['steps']} steps",
        _told("energy", found["energy_joules"], unit="nJ", factor=1e9),
        _told("latency", found["latency_seconds"], unit="us", factor=1e6),
    ]


def _told(name: str, span: object, *, unit: str, factor: float) -> str:
    if not isinstance(span, list):
        return f"{name}: no figures of one operation are published for this chip"
    return f"{name}: {span[0] * factor:.3g} to {span[1] * factor:.3g} {unit} (an estimate)"


def _latency(operations: list[Operations], chip: Chip, *, steps: int, depth: int) -> Range | None:
    """Steps · (synchronisation + the busiest core), its work shared evenly by a population's."""
    if not {"synaptic_operation", "neuron_update", "step"} <= chip.costs.keys():
        return None
    low, high = (
        NANO
        * (steps + depth + 1)
        * (chip.costs["step"].time[end] + max(_core_time(o, chip, steps, end) for o in operations))
        for end in (0, 1)
    )
    return low, high


def _core_time(operations: Operations, chip: Chip, steps: int, end: int) -> float:
    if not operations.cores:
        return 0.0
    work = (
        operations.synaptic_operations * chip.costs["synaptic_operation"].time[end]
        + operations.neuron_updates * chip.costs["neuron_update"].time[end]
    )
    return work / operations.cores / steps
