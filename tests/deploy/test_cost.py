from dataclasses import replace

import numpy as np
import pytest

from spikeproof.deploy.chip_file import Cost, chip_named
from spikeproof.deploy.cost import costs, golden_messages, lines
from spikeproof.deploy.placement import place
from spikeproof.sim.program import Population, Program, Source, Synapse

LOIHI1 = replace(chip_named("loihi1"), neurons_per_core=2, payload_bits=9)
SENT = {"x": np.array([2.0, 0.0, 4.0]), "a": np.array([1.0, 3.0, 0.5]), "b": np.zeros(2)}


def net():
    """Three inputs, three neurons of which two share a core, two neurons on one."""
    first = np.array([[1, 0, 2], [-1, 3, 0], [0, 0, -2]], np.int32)
    last = np.array([[1, -1, 0], [0, 5, 5]], np.int32)
    return Program(
        sources=(Source(name="x", shape=(3,), low=-9, high=9, message_bits=5),),
        populations=(
            Population(name="a", shape=(3,), vth=1),
            Population(name="b", shape=(2,), vth=1, phase=1),
        ),
        synapses=(
            Synapse(source="x", target="a", weight=first),
            Synapse(source="a", target="b", weight=last),
        ),
        outputs=("b",),
    )


def counted(chip=LOIHI1, steps=4):
    program = net()
    return costs(program, place(program, chip), chip, sent=SENT, steps=steps)


def test_operations_agree_with_a_count_by_hand():
    x, a, b = counted().operations
    # x0 meets 2 weights, x2 two; a sends 1·1, 3·2 and 0.5·1.
    assert (x.synaptic_operations, a.synaptic_operations) == (0, 2 * 2 + 4 * 2)
    assert b.synaptic_operations == 1 * 1 + 3 * 2 + 0.5 * 1
    assert (x.neuron_updates, a.neuron_updates, b.neuron_updates) == (0, 12, 8)
    assert (x.spikes, a.spikes) == (6, 4.5)
    assert (x.messages, a.messages, b.messages) == (6 * 2, 4.5, 0)


def test_energy_is_operations_times_the_published_figures():
    total = 12 + 7.5
    expected = [total * 23.6 + 20 * update + 16.5 * message for update, message in LOW_HIGH]
    energy = counted().energy
    assert energy == pytest.approx([1e-12 * value for value in expected])


LOW_HIGH = ((52.0, 1.7), (81.0, 57.7))


def test_latency_is_the_steps_of_the_busiest_core():
    # a: two cores share 12 operations and 12 updates over 4 steps; b: one core 7.5 and 8.
    slow = max((12 * 3.5 + 12 * 8.4) / 2 / 4, (7.5 * 3.5 + 8 * 8.4) / 4) + 465.0
    fast = 8 * 5.3 / 4 + 113.0
    assert counted().latency == pytest.approx([6e-9 * fast, 6e-9 * slow])


def test_a_chip_without_figures_gives_no_estimate():
    found = counted(replace(LOIHI1, costs={}))
    assert (found.energy, found.latency) == (None, None)
    assert "no figures of one operation are published" in lines(found.to_json())[1]


def test_a_chip_without_times_gives_energy_alone():
    kept = {k: v for k, v in LOIHI1.costs.items() if k != "step"}
    found = counted(replace(LOIHI1, costs=kept))
    assert found.energy is not None
    assert found.latency is None


def test_costs_name_their_sources():
    other = Cost(energy=(1.0, 2.0), time=(0.0, 1.0), source="a data sheet")
    found = counted(replace(LOIHI1, costs={**LOIHI1.costs, "message": other}))
    assert found.to_json()["sources"]["message"] == "a data sheet"  # type: ignore[index]


def test_golden_samples_are_counted_back_to_back():
    x = np.zeros((3, 12), np.int32)
    x[0, :4] = x[2, 5:7] = -3
    golden = {"predictions": np.zeros(2), "x": x}
    golden |= {"s0": np.ones((4, 2, 3), np.uint8), "s1": np.zeros((4, 2, 2), np.uint8)}
    found = golden_messages(net(), golden)
    assert found["x"].tolist() == [2.0, 0.0, 1.0]
    assert found["a"].tolist() == [4.0, 4.0, 4.0]
