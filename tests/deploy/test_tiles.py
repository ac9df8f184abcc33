from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from spikeproof.deploy.chip_file import FIGURES, Chip, chip_named
from spikeproof.deploy.tiles import Cutter
from spikeproof.sim.program import Population, Program, Source, Synapse

FREE = Chip(
    name="free",
    title="Free",
    **dict.fromkeys(FIGURES),  # type: ignore[arg-type]
    sources={},
)


def net(*, groups=1, stride=(2, 1), padding=(1, 0), dilation=(1, 2), dense=6):
    """x (4, 9, 7) – a convolution a – another of the same options b – dense c."""
    options = {"groups": groups, "stride": stride, "padding": padding, "dilation": dilation}
    weight = np.ones((8, 4 // groups, 3, 2), np.int32)
    first = Synapse(source="x", target="a", weight=weight, **options)
    a = first.output_shape((4, 9, 7))
    second = Synapse(source="a", target="b", weight=np.ones((4, 8, 2, 2), np.int32), padding=(1, 1))
    b = second.output_shape(a)
    third = Synapse(source="b", target="c", weight=np.ones((dense, int(np.prod(b))), np.int32))
    shapes = {"a": a, "b": b, "c": (dense,)}
    return Program(
        sources=(Source(name="x", shape=(4, 9, 7)),),
        populations=tuple(Population(name=n, shape=s, vth=1) for n, s in shapes.items()),
        synapses=(first, second, third),
        outputs=("c",),
    )


def boxes_of(shape, box):
    """Every box as the set of its neurons' indices."""
    starts = product(*(range(0, n, size) for n, size in zip(shape, box, strict=True)))
    for start in starts:
        ends = (min(s + size, n) for s, size, n in zip(start, box, shape, strict=True))
        yield set(product(*(range(s, e) for s, e in zip(start, ends, strict=True))))


def listens(synapse, shape, target_shape):
    """Pairs of a neuron of the target and one of the source that it has a weight to."""
    if not synapse.is_conv:
        sources = list(np.ndindex(*shape))
        return {(t, s) for t in np.ndindex(*target_shape) for s in sources}
    found = set()
    out_group = target_shape[0] // synapse.groups
    for o, y, x in np.ndindex(*target_shape):
        for i, ky, kx in np.ndindex(*synapse.weight.shape[1:]):
            row = y * synapse.stride[0] - synapse.padding[0] + ky * synapse.dilation[0]
            column = x * synapse.stride[1] - synapse.padding[1] + kx * synapse.dilation[1]
            if 0 <= row < shape[1] and 0 <= column < shape[2]:
                channel = o // out_group * synapse.weight.shape[1] + i
                found.add(((o, y, x), (channel, row, column)))
    return found


@pytest.mark.parametrize(
    ("groups", "box", "target"),
    [
        (1, (8, 5, 5), (4, 6, 6)),
        (1, (3, 2, 2), (2, 3, 3)),
        (2, (4, 5, 1), (1, 6, 2)),
        (2, (1, 1, 1), (4, 1, 1)),
        (1, (2, 3, 5), (3, 2, 6)),
    ],
)
def test_axons_bound_those_of_every_box_counted_one_by_one(groups, box, target):
    program = net(groups=groups)
    into, out, _ = program.synapses
    a, b = program.populations[:2]
    demand = Cutter(program, a, FREE, {"b": target}).cut(box).demand
    heard = listens(into, (4, 9, 7), a.shape)
    sent = listens(out, a.shape, b.shape)
    cores = list(boxes_of(b.shape, target))
    inputs, outputs = [], []
    for held in boxes_of(a.shape, box):
        inputs.append(len({s for t, s in heard if t in held}))
        outputs.append(sum(len({s for t, s in sent if t in core and s in held}) for core in cores))
    assert max(inputs) <= demand.input_axons <= 3 * max(inputs)
    assert max(outputs) <= demand.output_axons <= 2 * max(outputs)


def test_memory_holds_a_kernel_once_a_core_and_a_word_for_every_neuron():
    program, chip = net(), replace(FREE, weight_bits=8, neuron_bits=64)
    demand = Cutter(program, program.population("a"), chip, {}).cut((3, 2, 5)).demand
    assert (demand.neurons, demand.memory_bits) == (30, 3 * 4 * 3 * 2 * 8 + 30 * 64)


def test_memory_holds_every_weight_of_a_dense_neuron():
    program, chip = net(), replace(FREE, weight_bits=8, neuron_bits=64)
    demand = Cutter(program, program.population("c"), chip, {}).cut((5,)).demand
    size = program.population("b").size
    assert (demand.memory_bits, demand.input_axons) == (5 * size * 8 + 5 * 64, size)


@pytest.mark.parametrize("limit", [1, 2, 5, 7, 24, 40, 1000])
def test_no_equal_boxes_that_fit_are_fewer(limit):
    program, chip = net(), replace(FREE, neurons_per_core=limit)
    shape = program.population("a").shape
    counts = [
        int(np.prod([-(-n // size) for n, size in zip(shape, box, strict=True)]))
        for box in product(*(range(1, n + 1) for n in shape))
        if np.prod(box) <= limit
    ]
    assert Cutter(program, program.population("a"), chip, {}).fewest().count == min(counts)


def test_a_limit_that_one_neuron_breaks_does_not_spoil_the_tiling():
    program = net()
    chip = replace(FREE, input_axons_per_core=3, neurons_per_core=20)
    tiling = Cutter(program, program.population("a"), chip, {}).fewest()
    assert tiling.demand.beyond(chip).keys() == {"input_axons"}
    assert tiling.demand.neurons > 1


def test_a_chip_without_limits_takes_a_population_whole():
    program = net()
    for population in program.populations:
        assert Cutter(program, population, FREE, {}).fewest().count == 1


def test_delays_of_single_weights_take_room():
    program = net()
    *others, last = program.synapses
    delayed = replace(last, delay=np.ones(last.weight.shape, np.int64))
    program = replace(program, synapses=(*others, delayed))
    chip = replace(chip_named("loihi1"), neuron_bits=0)
    demand = Cutter(program, program.population("c"), chip, {}).cut((1,)).demand
    assert demand.memory_bits == last.weight.shape[1] * (8 + 6)
