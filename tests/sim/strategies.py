"""Random small Programs that reach ties, wraps, clips and truncation below zero."""

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st

from spikeproof.sim.program import Population, Program, Source, Synapse

RATES = st.sampled_from([0, 1, 2048, 4095, 4096]) | st.integers(0, 4096)
DECAYS = st.tuples(RATES, RATES) | st.tuples(st.just(4096), st.sampled_from([0, 4096]))
"""Of u and v; the second kind never rounds."""
THRESHOLDS = st.sampled_from([0, 1, 131071]) | st.integers(0, 600)
BIASES = (-32768, -1, 0, 1, 7, 32767)
SMALL = (-3, -2, -1, 0, 1, 2, 3)
EIGHT_BITS = (-256, -255, -128, -1, 0, 1, 127, 254)
POSITIVE, NEGATIVE = (0, 1, 3, 200, 255), (-255, -128, -1)
WRAPPING = (-131073, -131072, -131071, 0, 131071, 131072, 131073, 393216, 393217)
"""64 times 131072 is 2²³; three times that is where one correction no longer suffices."""
HUGE = (-(2**25), -(2**24), -5, 0, 5, 2**23, 2**24, 2**25)
STEPS, BATCH = st.integers(1, 14), st.integers(1, 3)
WEIGHTS = st.sampled_from([SMALL, SMALL, EIGHT_BITS, POSITIVE, NEGATIVE, WRAPPING, HUGE])


@dataclass(frozen=True)
class Case:
    """A program, what enters it (int64 `[T, N, *shape]`) and the clock's numbers."""

    program: Program
    inputs: dict[str, np.ndarray]
    biases: dict[str, np.ndarray]
    steps: int
    batch: int
    interval: int | None = None
    offset: int = 0


def _pick(draw, rng, pools, shape):
    return rng.choice(np.array(draw(pools)), shape).astype(np.int32)


@st.composite
def _stated(draw, rng, value, shape, pool):
    """Mostly one number; else one a neuron or one a channel."""
    shapes = (None, None, None, shape, (shape[0], *(1 for _ in shape[1:])))
    chosen = draw(st.sampled_from(shapes))
    return value if chosen is None else rng.choice([value, draw(pool)], chosen)


@st.composite
def populations(draw, rng, name, shape, phase):
    """Neurons with extreme or arbitrary parameters and biases of every form."""
    bias_shape = draw(st.sampled_from([None, shape, (shape[0], *(1 for _ in shape[1:]))]))
    bias = None if bias_shape is None else rng.choice(BIASES, bias_shape).astype(np.int32)
    du, dv = draw(DECAYS)
    return Population(
        name=name,
        shape=shape,
        du=draw(_stated(rng, du, shape, RATES)),
        dv=draw(_stated(rng, dv, shape, RATES)),
        vth=draw(_stated(rng, draw(THRESHOLDS), shape, THRESHOLDS)),
        bias=bias,
        phase=phase,
    )


@st.composite
def convolutions(draw, rng, source, shape, target):
    """A convolution that `shape` holds, with every option away from its default."""
    groups = draw(st.sampled_from([g for g in (1, 2) if shape[0] % g == 0]))
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    room = [(shape[1 + i] + 2 * padding[i] - 1) // dilation[i] + 1 for i in range(2)]
    kernel = [draw(st.integers(1, min(3, size))) for size in room]
    out = groups * draw(st.integers(1, 2))
    return Synapse(
        source=source,
        target=target,
        weight=_pick(draw, rng, WEIGHTS, (out, shape[0] // groups, *kernel)),
        stride=draw(st.tuples(st.integers(1, 2), st.integers(1, 3))),
        padding=padding,
        dilation=dilation,
        groups=groups,
        delay=draw(st.integers(0, 2)),
    )


@st.composite
def dense_synapses(draw, rng, source, size, target, out):
    """A dense synapse with a shift and delays by synapse."""
    kinds = ["none", "scalar", "matrix"]
    delays = {
        "none": 0,
        "scalar": draw(st.integers(0, 3)),
        "matrix": rng.integers(0, 4, (out, size)),
    }
    return Synapse(
        source=source,
        target=target,
        weight=_pick(draw, rng, WEIGHTS, (out, size)),
        shift=draw(st.sampled_from([0, 0, 1, 7])),
        delay=delays[draw(st.sampled_from(kinds))],
    )


@st.composite
def _layers(draw, rng, sources, phases):
    """Up to three populations, each fed by one or two synapses from anything before it."""
    nodes = {source.name: source.shape for source in sources}
    layers, synapses = [], []
    for index, phase in enumerate(phases):
        name = f"p{index}"
        start = draw(st.sampled_from(sorted(nodes)))
        if len(nodes[start]) == 3 and draw(st.booleans()):
            first = draw(convolutions(rng, start, nodes[start], name))
            shape = first.output_shape(nodes[start])
            other = replace(first, weight=first.weight[::-1].copy(), delay=draw(st.integers(0, 2)))
            added = [first, *([other] if draw(st.booleans()) else [])]
        else:
            shape = (draw(st.integers(1, 4)),)
            starts = [start, *draw(st.lists(st.sampled_from(sorted(nodes)), max_size=1))]
            added = [
                draw(dense_synapses(rng, s, int(np.prod(nodes[s])), name, shape[0])) for s in starts
            ]
        layers.append(draw(populations(rng, name, shape, phase)))
        synapses += added
        nodes[name] = shape
    return tuple(layers), tuple(synapses)


@st.composite
def sources(draw, name="x"):
    """A binary or graded source, a map or a vector."""
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)))
    shape = draw(st.sampled_from([shape, shape, (shape[0] * shape[1],)]))
    if draw(st.booleans()):
        return Source(name=name, shape=shape)
    low, high = draw(st.sampled_from([(-128, 127), (0, 255), (-1, 1), (-100000, 90000)]))
    return Source(name=name, shape=shape, low=low, high=high, message_bits=9)


def payload(rng, source, *leading):
    """Values of a source, extremes often; a binary one also gets what only counts as not 0."""
    extremes = (source.low, 0, source.high) if source.is_graded else (0, 0, 1, 5, -2)
    x = rng.choice(extremes, (*leading, *source.shape)).astype(np.int64)
    if not source.is_graded:
        return x
    free = rng.integers(source.low, source.high + 1, x.shape)
    return np.where(rng.random(x.shape) < 0.5, free, x)


@st.composite
def cases(draw, steps=STEPS, batch=BATCH):
    """Any program without loops on Lava's clock."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    starts = [draw(sources(f"x{i}")) for i in range(draw(st.sampled_from([1, 1, 2])))]
    phases = draw(st.lists(st.integers(0, 5), min_size=1, max_size=3))
    layers, synapses = draw(_layers(rng, starts, phases))
    program = Program(
        sources=tuple(starts), populations=layers, synapses=synapses, outputs=(layers[-1].name,)
    )
    steps, batch = draw(steps), draw(batch)
    driven = [p for p in layers if draw(st.booleans())]
    return Case(
        program=program,
        inputs={s.name: payload(rng, s, steps, batch) for s in starts},
        biases={p.name: rng.choice(BIASES, (batch, *p.shape)).astype(np.int32) for p in driven},
        steps=steps,
        batch=batch,
        interval=draw(st.none() | st.integers(1, 7)),
        offset=draw(st.integers(0, 3)),
    )


@st.composite
def looped(draw, steps=STEPS):
    """A program on Lava's clock with one or two synapses that lead back."""
    case = draw(cases(steps=steps))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    layers, added = case.program.populations, []
    for index in draw(st.lists(st.integers(0, len(layers) - 1), min_size=1, max_size=2)):
        target, source = layers[index], draw(st.sampled_from(layers[index:]))
        if len(target.shape) == 1:
            sizes = source.size, target.name, target.size
            added.append(draw(dense_synapses(rng, source.name, *sizes)))
            continue
        weight = _pick(draw, rng, WEIGHTS, (target.shape[0], target.shape[0], 3, 3))
        start, delay = target.name, draw(st.integers(0, 2))
        added.append(
            Synapse(source=start, target=start, weight=weight, padding=(1, 1), delay=delay)
        )
    program = replace(case.program, synapses=(*case.program.synapses, *added))
    return replace(case, program=program)


@st.composite
def levelled(draw):
    """A program without unlevelled synapses, and one payload a sample: `inputs` are `[N, *shape]`.

    Phases grow along the graph and the delays follow from them, shortcuts included.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    start = draw(sources())
    phases = list(np.cumsum(draw(st.lists(st.integers(1, 2), min_size=1, max_size=3))) - 1)
    layers, synapses = draw(_layers(rng, [start], [int(p) for p in phases]))
    phase = {p.name: p.phase for p in layers} | {start.name: -1}
    synapses = [replace(s, delay=phase[s.target] - phase[s.source] - 1) for s in synapses]
    program = Program(
        sources=(start,),
        populations=layers,
        synapses=tuple(synapses),
        outputs=(layers[-1].name,),
    )
    batch, steps = draw(st.integers(1, 4)), draw(st.integers(1, 8))
    return Case(program, {start.name: payload(rng, start, batch)}, {}, steps, batch)
