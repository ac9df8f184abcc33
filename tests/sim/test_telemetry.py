"""Telemetry against counts made by hand and by a slow loop."""

import itertools

import numpy as np
import pytest
import torch

from spikeproof.sim.clock import LavaClock, Window
from spikeproof.sim.program import Population, Program, Source, Synapse
from spikeproof.sim.telemetry import fan_out, table, telemetry
from spikeproof.sim.twin import Twin
from spikeproof.tests.sim.programs import classifier, ramp


def measured(program, x, clock):
    inputs = {program.sources[0].name: x}
    return telemetry(program, Twin(program).run(inputs, clock, record=True), inputs)


def single(weight, **neuron):
    """One input per neuron, two samples of four steps of ones."""
    n = len(weight)
    program = Program(
        sources=(Source(name="x", shape=(n,)),),
        populations=(Population(name="a", shape=(n,), **neuron),),
        synapses=(Synapse(source="x", target="a", weight=np.diag(weight).astype(np.int32)),),
        outputs=("a",),
    )
    (row,) = measured(program, torch.ones(1, 2, n), Window(steps=4))
    return row


def test_spikes_rates_silent_and_saturated_neurons_are_counted():
    row = single([0, 3, 6, 12, -2], vth=5)
    assert (row.neurons, row.silent, row.saturated) == (5, 2, 2)
    assert (row.spikes, row.rate) == (2 * (2 + 4 + 4), 20 / 40)


def test_peaks_are_those_of_the_registers_before_a_spike():
    row = single([0, 3, 6, 12, -2], vth=5)
    assert (row.peak_u, row.bits_u) == (12 * 64, 11)
    assert (row.peak_v, row.bits_v) == (12 * 64, 11)
    assert single([-9], vth=5).peak_v == 4 * 9 * 64


def test_ties_are_counted_where_v_stands_at_the_threshold():
    row = single([5, 1, 6], vth=5)  # 5 10-fires 5 10-fires; 1 2 3 4; fires always
    assert (row.ties, row.spikes) == (2 * 2, 2 * (2 + 0 + 4))


def test_synops_count_messages_that_reach_weights():
    row = single([0, 3, 6], vth=5)
    assert row.synops == 2 * 4 * 2


@pytest.mark.parametrize(("stride", "padding", "groups"), [(1, 1, 1), (2, 0, 2), (2, 1, 1)])
def test_fan_out_of_a_convolution_is_smaller_at_its_border(stride, padding, groups):
    shape, weight = (4, 5, 6), ramp(6, 4 // groups, 3, 2, modulus=4, low=0)
    pair, around = (stride, stride), (padding, padding)
    given = Synapse(
        source="x", target="y", weight=weight, stride=pair, padding=around, groups=groups
    )
    expected = np.zeros(shape)
    out, high, wide = given.output_shape(shape)
    for o, i, row, column in np.ndindex(*weight.shape):
        channel = o // (out // groups) * (4 // groups) + i
        for r, c in itertools.product(range(high), range(wide)):
            y, x = r * stride - padding + row, c * stride - padding + column
            if weight[o, i, row, column] and 0 <= y < 5 and 0 <= x < 6:
                expected[channel, y, x] += 1
    np.testing.assert_array_equal(fan_out(given, shape).numpy(), expected)


def test_synops_of_a_graph_add_up_over_the_synapses_into_a_population(rng):
    program = classifier()
    x = torch.from_numpy(rng.integers(-120, 200, (6, 2, 2, 4, 4)))
    clock = LavaClock(steps=6)
    rows = {row.population: row for row in measured(program, x, clock)}
    run = Twin(program).run({"image": x}, clock)
    weights = {s.label: (s.weight != 0).sum(0) for s in program.synapses}
    sent = {name: train.sum((0, 1)).flatten().numpy() for name, train in run.spikes.items()}
    expected = sent["b"] @ weights["b -> out"] + sent["relay"] @ weights["relay -> out"]
    assert rows["out"].synops == expected
    assert expected > 0


def test_a_table_has_a_line_a_population():
    lines = table([single([5, 1, 6], vth=5)])
    assert lines[1].split() == ["a", "0.5000", "12", "24", "10", "11", "4", "1", "1", "of", "3"]
