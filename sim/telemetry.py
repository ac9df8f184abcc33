"""What a run says about its network: activity, work, and how close registers came to their ends."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.grad import conv2d_input

from .per_neuron import on_device
from .program import STATE_SHIFT, Population, Program, Synapse
from .twin import Run


@dataclass(frozen=True, kw_only=True)
class Telemetry:
    """One population over all samples and steps of a run.

    Args:
        population: Its name.
        neurons: How many it has.
        spikes: How many it sent.
        rate: Spikes per neuron, sample and step.
        synops: Synaptic operations that it received: spikes (of a source, payloads other than 0)
            times the weights other than 0 that each reaches.
        peak_u: Greatest |u|.
        peak_v: Greatest |v|, before a spike resets it.
        bits_u: Bits of a signed register that hold the peak of u; the chip has 24.
        bits_v: As `bits_u`.
        ties: How often v stood exactly at its threshold, where `>` and `>=` part.
        silent: Neurons that never fired.
        saturated: Neurons that fired at every step of every sample.
    """

    population: str
    neurons: int
    spikes: int
    rate: float
    synops: int
    peak_u: int
    peak_v: int
    bits_u: int
    bits_v: int
    ties: int
    silent: int
    saturated: int

    def to_json(self) -> dict[str, object]:
        """Plain fields."""
        return asdict(self)


def telemetry(program: Program, run: Run, inputs: Mapping[str, Tensor]) -> list[Telemetry]:
    """Measures a recorded run.

    Args:
        program: What ran.
        run: What it did, with registers.
        inputs: What entered, as the run was given it.
    """
    return [_measured(program, population, run, inputs) for population in program.populations]


def table(rows: list[Telemetry]) -> list[str]:
    """Lines for people."""
    head = (
        f"{'population':16} {'rate':>7} {'spikes':>11} {'SynOps':>14} {'u bits':>6} {'v bits':>6}"
    )
    return [f"{head} {'ties':>8} {'silent':>8} {'saturated':>9} of neurons"] + [
        f"{row.population:16.16} {row.rate:7.4f} {row.spikes:11d} {row.synops:14d} {row.bits_u:6d} "
        f"{row.bits_v:6d} {row.ties:8d} {row.silent:8d} {row.saturated:9d} of {row.neurons}"
        for row in rows
    ]


def fan_out(synapse: Synapse, shape: tuple[int, ...]) -> Float[Tensor, "*shape"]:
    """How many weights other than 0 each neuron of the source reaches: fewer at a border."""
    acting = torch.from_numpy((synapse.weight != 0).astype("float64"))
    if not synapse.is_conv:
        return acting.sum(0).reshape(shape)
    reached = torch.ones((1, *synapse.output_shape(shape)), dtype=torch.float64)
    return conv2d_input((1, *shape), acting, reached, **synapse.geometry)[0]


def _measured(
    program: Program, population: Population, run: Run, inputs: Mapping[str, Tensor]
) -> Telemetry:
    spikes, registers = run.spikes[population.name].detach(), run.registers[population.name]
    peak_u, peak_v = (int(x.abs().max()) for x in (registers.u, registers.h))
    often = spikes.sum((0, 1))
    return Telemetry(
        population=population.name,
        neurons=population.size,
        spikes=int(spikes.sum(dtype=torch.float64)),
        rate=float(spikes.mean(dtype=torch.float64)),
        synops=sum(_synops(program, s, run, inputs) for s in program.into(population.name)),
        peak_u=peak_u,
        peak_v=peak_v,
        bits_u=peak_u.bit_length() + 1,
        bits_v=peak_v.bit_length() + 1,
        ties=int((registers.h == on_device(population.vth, spikes.device) << STATE_SHIFT).sum()),
        silent=int((often == 0).sum()),
        saturated=int((often == spikes.shape[0] * spikes.shape[1]).sum()),
    )


def _synops(program: Program, synapse: Synapse, run: Run, inputs: Mapping[str, Tensor]) -> int:
    steps = len(next(iter(run.spikes.values())))
    sent = run.spikes.get(synapse.source)
    train = inputs[synapse.source] if sent is None else sent.detach()
    messages = (train != 0).sum((0, 1)).double().cpu() * (steps if len(train) == 1 else 1)
    return int((messages * fan_out(synapse, program.shapes[synapse.source])).sum())
