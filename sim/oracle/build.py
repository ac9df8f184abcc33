"""Lava's processes for a Program: what netx builds for a chain of layers, for any graph.

The processes and their fixed-point models are those that netx uses, and so is the arithmetic:
neurons get `du − 1` and bias exponent 6, a map enters a dense synapse transposed and flattened,
and a population clears at its own phase. Weights need none of netx's scaling, because a Program
states those that act. Runs in the process that has imported Lava, after `fit.check_fit`.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from ...core.axes import map_to_lava
from ..per_neuron import PerNeuron
from ..program import Population, Program, Source, Synapse

BIAS_EXPONENT = 6
ALL_BITS = {"mixed": 9, "one sign": 8}
"""How many bits of a dense weight the process shall keep so that it truncates none."""


def build(
    program: Program,
    inputs: Mapping[str, np.ndarray],
    *,
    reset_interval: int | None,
    reset_offset: int,
) -> list[Any]:
    """The neuron processes of a program, in its order, with everything that feeds them.

    Args:
        program: What to build.
        inputs: Per source, `(W, H, C, T)` or `(N, T)`.
        reset_interval: Steps between resets; None for none.
        reset_offset: Shifts the phase of all resets.
    """
    reset = {"reset_interval": reset_interval, "reset_offset": reset_offset + 1}
    neurons = {
        p.name: _neurons(p, reset if reset_interval is not None else None)
        for p in program.populations
    }
    out = {name: process.s_out for name, process in neurons.items()}
    for source in program.sources:
        if any(s.source == source.name for s in program.synapses):
            out[source.name] = _ring_buffer(inputs[source.name]).s_out
    for synapse in program.synapses:
        source, shape = program.source(synapse.source), program.shapes[synapse.source]
        add = _convolve if synapse.is_conv else _weigh
        activation = add(synapse, out[synapse.source], shape, _message_bits(source))
        activation.connect(neurons[synapse.target].a_in)
    return list(neurons.values())


def _neurons(population: Population, reset: dict[str, int] | None) -> Any:
    processes = import_module("lava.proc.lif.process")
    p = population
    options: dict[str, Any] = {
        "shape": p.shape[::-1],
        # The fixed-point model adds 1 to the decay of u.
        "du": _in_lava(p.du - 1, p),
        "dv": _in_lava(p.dv, p),
        "vth": _in_lava(p.vth, p),
        "bias_mant": 0 if p.bias is None else _in_lava(p.bias.astype(np.int32), p),
        "bias_exp": BIAS_EXPONENT,
    }
    if reset is None:
        return processes.LIF(**options)
    phase = reset["reset_offset"] + population.phase
    return processes.LIFReset(**options, **reset | {"reset_offset": phase})


def _in_lava(value: PerNeuron, population: Population) -> PerNeuron:
    """One number as it is; several, one a neuron, in Lava's axes."""
    if isinstance(value, int):
        return value
    return map_to_lava(np.broadcast_to(value, population.shape))


def _ring_buffer(x: np.ndarray) -> Any:
    return import_module("lava.proc.io.source").RingBuffer(data=x.astype(np.int32))


def _message_bits(source: Source | None) -> int:
    """Neurons send 0 and 1."""
    return 0 if source is None else source.message_bits


def _weigh(synapse: Synapse, entry: Any, shape: tuple[int, ...], message_bits: int) -> Any:
    """A dense synapse; returns the port of its activation."""
    dense = import_module("lava.proc.dense.process")
    weight = synapse.weight
    mixed = weight.min(initial=0) < 0 < weight.max(initial=0)
    options: dict[str, Any] = {
        "weights": weight,
        "weight_exp": -synapse.shift,
        "num_weight_bits": ALL_BITS["mixed" if mixed else "one sign"],
        "num_message_bits": message_bits,
    }
    if synapse.is_delayed:
        delays = np.broadcast_to(synapse.delay, weight.shape).astype(int)
        process = dense.DelayDense(**options, delays=delays)
    else:
        process = dense.Dense(**options)
    # As netx does behind `flatten`: (W, H, C) to a vector in (C, H, W) order.
    flat = entry.transpose([2, 1, 0]).flatten() if len(shape) == 3 else entry
    flat.connect(process.s_in)
    return process.a_out


def _convolve(synapse: Synapse, entry: Any, shape: tuple[int, ...], message_bits: int) -> Any:
    """A convolution behind as many identities as it has steps of delay; returns its activation."""
    options = {
        "stride": synapse.stride[::-1],
        "padding": synapse.padding[::-1],
        "dilation": synapse.dilation[::-1],
        "groups": synapse.groups,
    }
    channels = shape[0]
    identity = np.ones((channels, 1, 1, 1), dtype=np.int32)
    for _ in range(int(synapse.delay)):  # Lava's convolutions have no delays of their own
        entry = _conv(identity, entry, shape, message_bits, groups=channels)
    return _conv(_as_in_lava(synapse.weight), entry, shape, message_bits, **options)


def _conv(
    weight: np.ndarray, entry: Any, shape: tuple[int, ...], message_bits: int, **options: Any
) -> Any:
    process = import_module("lava.proc.conv.process").Conv(
        weight=weight, input_shape=shape[::-1], num_message_bits=message_bits, **options
    )
    entry.connect(process.s_in)
    return process.a_out


def _as_in_lava(weight: np.ndarray) -> np.ndarray:
    """`[out, in, kH, kW]` to Lava's `(out, W, H, in)`, which is turned around when it runs."""
    return np.ascontiguousarray(weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1))
