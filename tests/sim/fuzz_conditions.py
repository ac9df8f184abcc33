"""Which of the hard cases a run has reached, measured on Lava's own traces."""

import re

import numpy as np

from spikeproof.core.axes import lava_to_train
from spikeproof.sim.components import in_order
from spikeproof.sim.netx.weights import MIXED_HIGH
from spikeproof.tests.reference import REGISTER, arriving, as_train, decayed, int32

RAIL = REGISTER - 1


def reached(fuzzed, found):
    """Names of all conditions that a network and what Lava recorded of it meet."""
    setting = fuzzed.setting
    program = setting.program
    trains = {
        s.name: as_train(s, setting.inputs[s.name][:, None].astype(np.int64))
        for s in program.sources
    }
    for k, p in enumerate(program.populations):
        trains[p.name] = lava_to_train(found[f"s{k}"]).astype(np.int64)[:, None]
    names = {name for name, holds in STATIC.items() if holds(fuzzed)}
    for k, p in enumerate(program.populations):
        u, v = (lava_to_train(found[f"{key}{k}"]).astype(np.int64) for key in "uv")
        for column in range(setting.steps):
            names |= _at_step(setting, p, trains, u, v, column)
    return names | {name for name, holds in OF_TRACES.items() if holds(program, found)}


def _at_step(setting, p, trains, u, v, column):
    """What one population met in one step, from its registers before it."""
    is_reset = (
        setting.interval and (column + 1 - setting.offset - 1 - p.phase) % setting.interval == 0
    )
    before = [np.zeros_like(u[0])] * 2 if is_reset or not column else [u[column - 1], v[column - 1]]
    a = np.zeros((1, *p.shape), np.int64)
    for synapse in setting.program.into(p.name):
        a = a + arriving(synapse, trains[synapse.source], column, p.shape)
    raw_u = decayed(before[0], p.du) + int32(int32(a[0]) * 64)
    bias = 0 if p.bias is None else np.asarray(p.bias, np.int64) * 64
    raw_v = decayed(before[1], p.dv) + u[column] + bias
    level, vth = np.clip(raw_v, -RAIL, RAIL), p.vth * 64
    met = {
        "tie at the threshold": ((level == vth) & (vth != 0)).any(),
        "u wrapped": ((raw_u > REGISTER) | (raw_u <= -REGISTER)).any(),
        "u beyond one correction": (np.abs(u[column]) > REGISTER).any(),
        "v clipped above": (raw_v > RAIL).any(),
        "v clipped below": (raw_v < -RAIL).any(),
        "u truncated below zero": _truncated(before[0], p.du),
        "v truncated below zero": _truncated(before[1], p.dv),
        "activation beyond 32 bits": (np.abs(a) >= 2**25).any(),
        "reset of a state that was not zero": is_reset
        and column > 0
        and (u[column - 1].any() or v[column - 1].any()),
    }
    assert sorted(met) == list(REGISTERS)
    return {name for name, holds in met.items() if holds}


def _truncated(x, rate):
    """Whether a decay dropped something of a negative number: floor would differ."""
    return bool(((x < 0) & (x * (4096 - rate) % 4096 != 0)).any())


def _some(attribute, wanted):
    return lambda fuzzed: any(
        (getattr(p, attribute) == wanted) is True for p in fuzzed.setting.program.populations
    )


def _varied(attribute):
    """Whether neurons of one population differ in it."""
    return lambda fuzzed: any(
        np.ptp(getattr(p, attribute)) > 0 for p in fuzzed.setting.program.populations
    )


def _synapse(claim):
    return lambda fuzzed: any(claim(s) for s in fuzzed.setting.program.synapses)


def _source(claim):
    return lambda fuzzed: any(
        claim(s, fuzzed.setting.inputs[s.name]) for s in fuzzed.setting.program.sources
    )


def _changed(words):
    return lambda fuzzed: any(words in change for change in fuzzed.changes)


def _altered(key):
    pattern = re.compile(rf"{key} \S+ as \w+, of which Lava makes")
    return lambda fuzzed: any(pattern.search(change) for change in fuzzed.changes)


def _is_one_signed(synapse):
    weight = synapse.weight
    return not synapse.is_conv and (weight.min() >= 0 or weight.max() <= 0)


def _is_narrow(program, synapse):
    """Spikes or bytes under weights of 8 bits, in one group, not dilated."""
    source = program.source(synapse.source)
    low, high = (source.low, source.high) if source else (0, 1)
    weights = np.abs(synapse.weight.astype(np.int64)).max() <= 127
    plain = synapse.groups == 1 and synapse.dilation == (1, 1)
    return plain and weights and low >= 0 and high <= 255


REGISTERS = (
    "activation beyond 32 bits",
    "reset of a state that was not zero",
    "tie at the threshold",
    "u beyond one correction",
    "u truncated below zero",
    "u wrapped",
    "v clipped above",
    "v clipped below",
    "v truncated below zero",
)
"""Conditions of single steps: what `_at_step` tells."""

STATIC = {
    "du 0": _some("du", 0),
    "du 4095": _some("du", 4095),
    "du 4096": _some("du", 4096),
    "dv 0": _some("dv", 0),
    "dv 4095": _some("dv", 4095),
    "dv 4096": _some("dv", 4096),
    "du, one a neuron": _varied("du"),
    "dv, one a neuron": _varied("dv"),
    "threshold, one a neuron": _varied("vth"),
    "biases": lambda f: any(p.bias is not None for p in f.setting.program.populations),
    "input block driven by its bias": lambda f: not f.setting.program.sources,
    "binary input": _source(lambda s, x: not s.is_graded),
    "binary input of other numbers than 0 and 1": _source(
        lambda s, x: not s.is_graded and bool((x > 1).any() or (x < 0).any())
    ),
    "graded input": _source(lambda s, x: s.is_graded),
    "negative payload": _source(lambda s, x: s.is_graded and bool((x < 0).any())),
    "dense matrix of positive weights": _synapse(
        lambda s: _is_one_signed(s) and s.weight.max() > 0
    ),
    "dense matrix of negative weights": _synapse(
        lambda s: _is_one_signed(s) and s.weight.min() < 0
    ),
    "dense matrix that Lava sets to 0": _changed("all of which Lava sets to 0"),
    "dense matrix that Lava rounds": _changed("of one sign, of which Lava rounds"),
    "dense matrix that Lava clips": _changed(f"outside -256..{MIXED_HIGH}"),
    "biases that Lava wraps": _changed("outside int16"),
    "threshold that its stored type alters": _altered("vThMant"),
    "decay of v that its stored type alters": _altered("vDecay"),
    "dense sum shifted right": _synapse(lambda s: s.shift > 0),
    "delay, one a synapse": _synapse(lambda s: isinstance(s.delay, int) and s.delay > 0),
    "delays, one a weight": _synapse(lambda s: not isinstance(s.delay, int)),
    "convolution": _synapse(lambda s: s.is_conv),
    "convolution that a CPU may sum in bytes": lambda f: any(
        s.is_conv and _is_narrow(f.setting.program, s) for s in f.setting.program.synapses
    ),
    "recurrence without weights": _synapse(lambda s: not s.is_conv and not s.weight.any()),
    "stride": _synapse(lambda s: s.is_conv and max(s.stride) > 1),
    "padding": _synapse(lambda s: s.is_conv and max(s.padding) > 0),
    "dilation": _synapse(
        lambda s: (
            s.is_conv
            and any(d > 1 < k for d, k in zip(s.dilation, s.weight.shape[2:], strict=True))
        )
    ),
    "groups": _synapse(lambda s: s.groups > 1),
    "several synapses into one population": lambda f: any(
        len(f.setting.program.into(p.name)) > 1 for p in f.setting.program.populations
    ),
    "several sources": lambda f: len(f.setting.program.sources) > 1,
    "recurrence": lambda f: in_order(f.setting.program) is None,
    "layer without neurons": lambda f: any(
        np.max(p.vth) == 1 << 17 == np.min(p.vth) and np.max(p.du) == 0 and np.min(p.dv) == 4096
        for p in f.setting.program.populations
    ),
    "periodic reset": lambda f: f.setting.interval is not None,
    "periodic reset with an offset": lambda f: f.setting.offset > 0,
}
"""Conditions of a network and its input alone."""

OF_TRACES = {
    "spikes in some population": lambda program, found: any(
        found[f"s{k}"].any() for k in range(len(program.populations))
    ),
    "spikes in every population that can fire": lambda program, found: all(
        found[f"s{k}"].any() or np.min(p.vth) >= 1 << 17 for k, p in enumerate(program.populations)
    ),
}
