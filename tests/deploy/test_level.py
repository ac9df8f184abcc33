from dataclasses import replace

import numpy as np
import pytest

from spikeproof.core.errors import UnsupportedNodeError
from spikeproof.deploy.level import level
from spikeproof.sim.components import in_order
from spikeproof.sim.program import DECAY_UNITY, Population, Program, Source, Synapse
from spikeproof.tests.deploy.residual import residual_program
from spikeproof.tests.sim.programs import assert_equal_programs, chain

UNIT = np.eye(2, dtype=np.int32)


def graph(*edges, shape=(2,), **changes):
    """Populations a, b, c... joined as said, x the input; phases not yet known."""
    weight = UNIT if len(shape) == 1 else np.ones((2, 2, 1, 1), np.int32)
    names = sorted({name for edge in edges for name in edge} - {"x"})
    program = Program(
        sources=(Source(name="x", shape=shape, message_bits=9, high=9),),
        populations=tuple(Population(name=name, shape=shape, vth=0) for name in names),
        synapses=tuple(Synapse(source=s, target=t, weight=weight) for s, t in edges),
        outputs=(names[-1],),
    )
    return replace(program, **changes)


def arrivals(program):
    return {(s.source, s.target) for s in program.synapses}


SKIP = ("xa", "ab", "bc", "ac")


def test_skip_goes_through_a_relay():
    levelled = level(graph(*SKIP))
    assert [(p.name, p.phase) for p in levelled.populations] == [
        ("a", 0),
        ("b", 1),
        ("a_relay1", 1),
        ("c", 2),
    ]
    expected = {("x", "a"), ("a", "b"), ("b", "c"), ("a", "a_relay1"), ("a_relay1", "c")}
    assert arrivals(levelled) == expected


def test_relay_is_a_population_that_passes_on_each_spike():
    relay = level(graph(*SKIP)).population("a_relay1")
    assert relay.is_relay
    assert (relay.vth, relay.du, relay.dv, relay.bias) == (0, DECAY_UNITY, DECAY_UNITY, None)


@pytest.mark.parametrize(("shape", "weights"), [((2,), (2, 2)), ((2, 3, 4), (2, 1, 1, 1))])
def test_relay_joins_each_neuron_to_its_like(shape, weights):
    (synapse,) = level(graph(*SKIP, shape=shape)).into("a_relay1")
    assert synapse.weight.shape == weights
    assert synapse.weight.sum() == 2
    assert synapse.output_shape(shape) == shape


def test_one_chain_serves_all_that_wait():
    levelled = level(graph("xa", "ab", "bc", "cd", "ac", "ad", "de", "ae"))
    relays = [p.name for p in levelled.populations if p.is_relay]
    assert relays == ["a_relay1", "a_relay2", "a_relay3"]
    assert {("a_relay1", "c"), ("a_relay2", "d"), ("a_relay3", "e")} < arrivals(levelled)


def test_level_program_stays_as_it_is():
    program = chain()
    program = replace(program, synapses=tuple(replace(s, delay=0) for s in program.synapses))
    assert_equal_programs(level(program), program)
    levelled = residual_program()
    assert_equal_programs(level(levelled), levelled)


def test_nothing_is_left_unlevelled():
    program = residual_program()
    assert program.unlevelled() == []
    assert [p.phase for p in program.populations] == sorted(p.phase for p in program.populations)
    assert in_order(program) is not None


def test_relay_takes_a_name_that_is_free():
    program = graph(*SKIP, "ad")
    (renamed,) = [p for p in program.populations if p.name == "d"]
    populations = [p for p in program.populations if p.name != "d"]
    program = replace(
        program,
        populations=(*populations, replace(renamed, name="a_relay1")),
        synapses=tuple(
            replace(s, target=s.target.replace("d", "a_relay1")) for s in program.synapses
        ),
        outputs=("a_relay1",),
    )
    assert [p.name for p in level(program).populations if p.is_relay] == ["a_relay1_"]


def test_shortcut_from_the_input_is_refused():
    with pytest.raises(UnsupportedNodeError, match="shortcut into 'b'.*passes on spikes"):
        level(graph("xa", "ab", "xb"))


def test_input_may_reach_several_populations_that_start():
    assert not any(p.is_relay for p in level(graph("xa", "xb", "ac", "bc")).populations)


def test_loop_is_refused():
    with pytest.raises(UnsupportedNodeError, match="without loops and delays"):
        level(graph("xa", "ab", "ba"))


@pytest.mark.parametrize("delay", [1, np.ones((2, 2), np.int64)])
def test_delay_is_refused(delay):
    program = graph("xa", "ab")
    late = replace(program.synapses[1], delay=delay)
    with pytest.raises(UnsupportedNodeError, match="without loops and delays"):
        level(replace(program, synapses=(program.synapses[0], late)))
