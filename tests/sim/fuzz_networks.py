"""Random small networks for Lava, one a seed: `.net` files, and programs that no `.net` file holds.

Every pool holds the numbers at which the arithmetic turns: ties, wraps, clips, truncation below
zero, decays at their ends, matrices of one sign. Dense weights of programs are those that act, so
they stay in the range that Lava's processes keep; those of `.net` files do not.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeproof.core.axes import lava_to_map, train_to_lava
from spikeproof.core.errors import FormatError, UnsupportedNodeError
from spikeproof.sim.netx.network import NetxNetwork, read_netx
from spikeproof.sim.oracle.fit import check_fit
from spikeproof.sim.oracle.request import LavaRequest, Request
from spikeproof.sim.program import Population, Program, Source, Synapse
from spikeproof.tests.sim.lava_programs import Setting
from spikeproof.tests.sim.netx_files import write

DECAYS = (0, 1, 777, 2048, 4095, 4096)
THRESHOLDS = (0, 1, 3, 10, 64, 200, 600, 3000, 20000, 131071)
BIASES = (-32768, -300, -1, 0, 1, 7, 300, 32767)
SMALL = (-3, -2, -1, 0, 1, 2, 3)
MIXED = (-256, -255, -128, -64, -1, 0, 1, 64, 127, 254)
POSITIVE, NEGATIVE = (0, 1, 3, 64, 200, 255), (-255, -128, -64, -3, -1)
NOT_POSITIVE, BEYOND = (-128, -64, -3, 0), (-400, -257, -3, 1, 255, 300)
WRAPPING = (-131073, -131072, -131071, 0, 131071, 131072, 131073, 393216, 393217)
"""64 times 131072 is 2²³; three times that is where one correction no longer suffices."""
HUGE = (-(2**25), -(2**24), -5, 0, 5, 2**23, 2**24, 2**25)
SIGNS = (-1, 0, 1, 1)
"""netx scales these by 2⁷: more than the six bits that a neuron shifts its activation by."""
ACTING = (SMALL, SMALL, MIXED, POSITIVE, NEGATIVE, NOT_POSITIVE)
STATED = (*ACTING, BEYOND, SIGNS)
KERNELS = (SMALL, SMALL, MIXED, POSITIVE, NEGATIVE, WRAPPING, HUGE)
PAYLOADS = ((-1, 1), (-128, 127), (0, 255), (-100000, 90000), (-4000000, 3000000))
DECAY_TYPES = ("i2", "u2", "i4", "u4", "i8")
THRESHOLD_TYPES = ("i1", "u1", "i2", "u2", "i4", "i4", "i8", "i8")
"""Those that a `.net` file may store these numbers in without an end of Lava."""
CAST = 2**31
"""Lava casts the sums of a convolution from float64 to int32. Beyond, C leaves the result open."""


@dataclass(frozen=True, kw_only=True)
class Fuzzed:
    """A network as both sides see it: what Lava is asked, and the program that the twin runs."""

    name: str
    request: Request
    setting: Setting
    changes: tuple[str, ...] = ()


def fuzzed(seed: int, folder: Path) -> Fuzzed:
    """The network of a seed: an even one is a `.net` file in `folder`, an odd one a program."""
    rng = np.random.default_rng([seed, 20])
    return _program(rng, seed) if seed % 2 else _netx(rng, seed, folder)


def _pick(rng: np.random.Generator, pool: Any) -> Any:
    return pool[rng.integers(len(pool))]


def _weights(rng, pools, shape):
    """Weights from one pool, never all zero."""
    weight = rng.choice(np.array(_pick(rng, pools)), shape).astype(np.int32)
    return weight if weight.any() else weight + 1


def _clock(rng):
    interval = _pick(rng, (None, 1, 3, 5, 7))
    return {
        "steps": int(rng.integers(6, 21)),
        "interval": interval,
        "offset": int(rng.integers(0, 4)) if interval else 0,
    }


def _payload(rng, source, steps):
    """Values of a source `[T, *shape]`; a binary one also gets what only counts as not 0."""
    extremes = (source.low, 0, source.high) if source.is_graded else (0, 0, 1, 5, -2)
    x = rng.choice(extremes, (steps, *source.shape)).astype(np.int64)
    if not source.is_graded:
        return x
    free = rng.integers(source.low, source.high + 1, x.shape)
    return np.where(rng.random(x.shape) < 0.5, free, x)


def _source(rng, name, shape):
    if rng.random() < 0.5:
        return Source(name=name, shape=shape)
    low, high = _pick(rng, PAYLOADS)
    return Source(name=name, shape=shape, low=low, high=high, message_bits=9)


def _shape(rng):
    return tuple(int(n) for n in rng.integers((1, 2, 2), (5, 6, 6)))


def _geometry(rng, shape):
    """Kernel and options of a convolution that `shape` holds."""
    padding, dilation = rng.integers(0, 3, 2), rng.integers(1, 3, 2)
    room = (np.array(shape[1:]) + 2 * padding - 1) // dilation + 1
    return {
        "kernel": tuple(int(rng.integers(1, min(3, n) + 1)) for n in room),
        "stride": tuple(int(n) for n in rng.integers(1, 4, 2)),
        "padding": tuple(int(n) for n in padding),
        "dilation": tuple(int(n) for n in dilation),
        "groups": int(_pick(rng, [g for g in (1, 2, 4) if shape[0] % g == 0])),
    }


def _convolution(rng, shape, *, peak, **ends):
    """A convolution of inputs up to `peak` whose sums stay in 32 bits."""
    options = _geometry(rng, shape)
    kernel, groups = options.pop("kernel"), options["groups"]
    out = groups * int(rng.integers(1, 3))
    while True:
        weight = _weights(rng, KERNELS, (out, shape[0] // groups, *kernel))
        if np.abs(weight.astype(np.int64)).sum((1, 2, 3)).max() * peak < CAST:
            return Synapse(weight=weight, **options, **ends)


def _program(rng, seed):
    """A program with branches, sums, delays and loops that Lava can run."""
    while True:
        setting = _any_setting(rng)
        try:
            check_fit(setting.program)
        except UnsupportedNodeError:  # it fell into parts
            continue
        return Fuzzed(name=f"program {seed}", request=setting.request(), setting=setting)


def _any_setting(rng):
    sources = [
        _source(rng, f"x{k}", _pick(rng, (_shape(rng), (int(rng.integers(1, 6)),))))
        for k in range(int(_pick(rng, (1, 1, 2))))
    ]
    nodes = {s.name: s.shape for s in sources}
    peaks = {s.name: _peak(s) for s in sources}
    populations, synapses = [], []
    for k in range(int(rng.integers(1, 5))):
        population, added = _layer(rng, f"p{k}", nodes, peaks)
        nodes[population.name] = population.shape
        populations.append(population)
        synapses += added
    if rng.random() < 0.4:
        synapses.append(_loop(rng, _pick(rng, populations), populations[0]))
    program = Program(
        sources=tuple(sources),
        populations=tuple(populations),
        synapses=tuple(synapses),
        outputs=(populations[-1].name,),
    )
    clock = _clock(rng)
    inputs = {s.name: _payload(rng, s, clock["steps"]) for s in sources}
    return Setting(program=program, inputs=inputs, **clock)


def _peak(source):
    return max(abs(source.low), abs(source.high))


def _layer(rng, name, nodes, peaks):
    """A population and the synapses into it, from anything before it."""
    start = _pick(rng, list(nodes))
    if len(nodes[start]) == 3 and rng.random() < 0.6:
        peak = peaks.get(start, 1)
        first = _convolution(rng, nodes[start], peak=peak, source=start, target=name)
        second = replace(first, weight=first.weight[::-1].copy(), delay=int(rng.integers(0, 3)))
        shape = first.output_shape(nodes[start])
        added = [first, second][: int(rng.integers(1, 3))]
    else:
        shape = (int(rng.integers(1, 6)),)
        starts = [start, *(_pick(rng, list(nodes)) for _ in range(int(rng.integers(0, 3))))]
        added = [_dense(rng, s, nodes[s], name, shape[0]) for s in starts]
    bias_shape = _pick(rng, (None, shape, (shape[0], *(1 for _ in shape[1:]))))
    population = Population(
        name=name,
        shape=shape,
        du=_per_neuron(rng, DECAYS, shape),
        dv=_per_neuron(rng, DECAYS, shape),
        vth=_per_neuron(rng, THRESHOLDS, shape),
        bias=None if bias_shape is None else rng.choice(BIASES, bias_shape).astype(np.int32),
        phase=int(rng.integers(0, 5)),
    )
    return population, added


def _per_neuron(rng, pool, shape):
    """One number, now and then one a channel or one a neuron."""
    if rng.random() < 0.8:
        return _pick(rng, pool)
    return rng.choice(pool, _pick(rng, (shape, (shape[0], *(1 for _ in shape[1:])))))


def _dense(rng, source, shape, target, out):
    weight = _weights(rng, ACTING, (out, int(np.prod(shape))))
    delays = (0, 0, int(rng.integers(1, 4)), rng.integers(0, 4, weight.shape))
    return Synapse(
        source=source,
        target=target,
        weight=np.where(weight == -256, -255, weight) if weight.max() <= 0 else weight,
        shift=_pick(rng, (0, 0, 1, 7)),
        delay=_pick(rng, delays),
    )


def _loop(rng, late, early):
    """From a population back to itself or to the first one."""
    target = _pick(rng, (late, early))
    if len(target.shape) == 1:
        return _dense(rng, late.name, late.shape, target.name, target.size)
    weight = _weights(rng, (SMALL,), (target.shape[0], target.shape[0], 1, 1))
    return Synapse(source=target.name, target=target.name, weight=weight)


def _netx(rng, seed, folder):
    """A chain of layers with every option that netx has."""
    while True:
        entry = _source(rng, "input", _shape(rng))
        layers, is_driven = _layers(rng, entry)
        path = write(folder / f"{seed}.net", layers)
        try:
            return _read(rng, seed, path, replace(entry, message_bits=0) if is_driven else entry)
        except FormatError:  # one layer left no output for the next
            continue


def _read(rng, seed, path, entry):
    clock = _clock(rng)
    read = read_netx(path, message_bits=entry.message_bits, payload=(entry.low, entry.high))
    program, inputs, options = _driven(rng, read, clock["steps"])
    request = LavaRequest(
        network=path,
        steps=clock["steps"],
        reset_interval=clock["interval"],
        reset_offset=clock["offset"],
        input_message_bits=entry.message_bits,
        **options,
    )
    setting = Setting(program=program, inputs=inputs, **clock)
    return Fuzzed(name=f"net {seed}", request=request, setting=setting, changes=read.warnings)


def _driven(rng, read: NetxNetwork, steps):
    """Input for a network: spikes or payload, or the bias of its input block."""
    program = read.program
    if not read.is_bias_driven:
        (source,) = program.sources
        x = _payload(rng, source, steps)
        return program, {source.name: x}, {"x": train_to_lava(x).astype(np.int32)}
    first, *others = program.populations
    bias = rng.integers(-500, 3000, first.shape[::-1]).astype(np.int32)
    first = replace(first, bias=lava_to_map(bias))
    return replace(program, populations=(first, *others)), {}, {"input_bias": bias}


def _layers(rng, entry):
    """Layers of a `.net` file as dicts, and whether an input block opens it."""
    is_driven = bool(rng.random() < 0.25)
    shape, peak = entry.shape, 1 if is_driven else _peak(entry)
    layers = [{"type": "input", "shape": list(shape)} | (_neuron(rng, shape) if is_driven else {})]
    for _ in range(int(rng.integers(0, 3))):
        layer, shape = _conv_layer(rng, shape, peak)
        layers.append(layer)
        peak = 1
    size = int(np.prod(shape))
    if len(layers) > 1 or is_driven:
        layers.append({"type": "flatten"})
    for index in range(int(rng.integers(len(layers) == 1, 3))):
        layer, size = _dense_layer(rng, size, is_last=index == 1)
        layers.append(layer)
    if layers[-1]["type"] == "flatten":
        layers.pop()
    return layers, is_driven


def _conv_layer(rng, shape, peak):
    synapse = _convolution(rng, shape, peak=peak, source="", target="")
    out = synapse.output_shape(shape)
    layer = {
        "type": "conv",
        "shape": list(out),
        "weight": synapse.weight,
        "stride": list(synapse.stride),
        "padding": list(synapse.padding),
        "dilation": list(synapse.dilation),
        "groups": synapse.groups,
    }
    return layer | _bias(rng, (None, out[:1], out[::-1])) | _neuron(rng, out), out


def _dense_layer(rng, size, *, is_last):
    out = int(rng.integers(1, 6))
    layer = {"type": "dense", "shape": [out], "weight": _weights(rng, STATED, (out, size))}
    layer |= _bias(rng, (None, (out,)))
    kind = _pick(rng, ("plain", "plain", "delay", "recurrent", "no neurons"))
    if kind == "recurrent":
        idle = rng.random() < 0.2
        recurrent = np.zeros((out, out), int) if idle else _weights(rng, STATED, (out, out))
        layer |= {"type": "dense_rec", "weight_rec": recurrent}
    if kind == "delay":
        shapes = ((), (out,), (size,), (out, size))
        layer["delay"] = rng.integers(0, 5, _pick(rng, shapes))
    return (layer if kind == "no neurons" and is_last else layer | _neuron(rng, (out,))), out


def _bias(rng, shapes):
    shape = _pick(rng, shapes)
    return {} if shape is None else {"bias": rng.choice((*BIASES, 40000), shape)}


def _neuron(rng, shape):
    """Fields of neurons; one number a field, or an array that numpy spreads over Lava's axes."""
    pools = {
        "iDecay": (DECAY_TYPES, DECAYS),
        "vDecay": (DECAY_TYPES, (*DECAYS, 5000)),
        "vThMant": (THRESHOLD_TYPES, (*THRESHOLDS, -5, 131072)),
    }
    fields = {"type": _pick(rng, ("CUBA", "LOIHI"))}
    for name, (types, pool) in pools.items():
        fields[name] = _typed(rng, types, pool, _pick(rng, _spread(shape[::-1])))
    return {f"neuron/{name}": value for name, value in fields.items()}


def _spread(shape):
    """Shapes that numpy spreads over neurons of a shape in Lava's axes; one number most often."""
    return [(), (), (), (), (), (), shape, *(shape[k:] for k in range(1, len(shape)))]


def _typed(rng, types, pool, shape):
    """Numbers in one type, modulo its range where they do not fit."""
    return rng.choice(pool, shape).astype(_pick(rng, types))
