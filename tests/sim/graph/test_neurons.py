# nir's annotations are narrower than what it takes, and nodes of a graph are known by name here.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportOptionalMemberAccess=false

import dataclasses

import nir
import numpy as np
import pytest
import torch

from spikeproof.core.errors import FormatError, UnsupportedNodeError
from spikeproof.sim.graph.layers import NeuronLayer
from spikeproof.sim.graph.meta import NirMeta
from spikeproof.sim.graph.network import NirNetwork

SHAPE, STEPS = (2, 3), 20


def network_of(node, *, dt=1.0, dtype=torch.float64, **meta):
    fields = {"steps": STEPS, "encoding": "frames", "readout": "spikes", "reset": "zero"}
    meta = NirMeta(dt=dt, **(fields | meta))
    nodes = {
        "input": nir.Input(np.array(SHAPE)),
        "fire": node,
        "output": nir.Output(np.array(SHAPE)),
    }
    edges = [("input", "fire"), ("fire", "output")]
    return NirNetwork(nir.NIRGraph(nodes, edges, type_check=False), meta, dtype=dtype)


def lif(rng, **fields):
    values = {
        "tau": rng.uniform(0.5, 2, SHAPE),
        "r": rng.uniform(0.5, 2, SHAPE),
        "v_leak": np.zeros(SHAPE),
        "v_threshold": rng.uniform(0.2, 0.6, SHAPE),
    }
    return nir.LIF(**(values | fields))


def euler(x, *, dt, tau, r, theta):
    """LIF step by step: dv = dt/tau·(−v + r·x); IF, with tau None: dv = dt·r·x."""
    v, spikes = np.zeros(x.shape[1:]), []
    for current in x:
        v = v + (dt * r * current if tau is None else dt / tau * (r * current - v))
        spikes.append(v > theta)
        v = np.where(v > theta, 0.0, v)
    return np.stack(spikes)


def test_lif_equals_a_loop_with_parameters_per_neuron(rng):
    node, x = lif(rng), rng.normal(1, 1, (STEPS, 4, *SHAPE))
    expected = euler(x, dt=0.25, tau=node.tau, r=node.r, theta=node.v_threshold)
    found = network_of(node, dt=0.25).run(torch.tensor(x))["fire"]
    np.testing.assert_array_equal(found, expected)
    assert 0.1 < expected.mean() < 0.9


def test_if_equals_a_loop_with_parameters_per_neuron(rng):
    node = nir.IF(r=rng.uniform(0.5, 2, SHAPE), v_threshold=rng.uniform(0.2, 0.6, SHAPE))
    x = rng.normal(0.5, 1, (STEPS, 4, *SHAPE))
    expected = euler(x, dt=0.5, tau=None, r=node.r, theta=node.v_threshold)
    found = network_of(node, dt=0.5).run(torch.tensor(x))["fire"]
    np.testing.assert_array_equal(found, expected)


def test_threshold_is_strict():
    node = nir.IF(r=np.ones(SHAPE), v_threshold=np.ones(SHAPE))
    spikes = network_of(node).run(torch.full((STEPS, 1, *SHAPE), 0.5))["fire"]
    assert spikes[:4, 0, 0, 0].tolist() == [0, 0, 1, 0]


def test_one_value_stands_for_the_whole_layer(rng):
    whole = lif(rng, **{name: np.full(SHAPE, 0.7) for name in ("tau", "r", "v_threshold")})
    single = nir.LIF(*(np.full((1,), 0.7), np.full((1,), 0.7), np.zeros(1), np.full((1,), 0.7)))
    x = torch.tensor(rng.normal(1, 1, (STEPS, 4, *SHAPE)))
    spikes = [network_of(node, dt=0.25).run(x)["fire"] for node in (whole, single)]
    assert torch.equal(*spikes)


@pytest.mark.parametrize("steps", [3, 7, 49, 93])
def test_gain_is_exactly_one_as_exported(steps):
    tau = np.full(SHAPE, float(steps))
    node = nir.LIF(tau=tau, r=tau, v_leak=np.zeros(SHAPE), v_threshold=np.ones(SHAPE))
    assert network_of(node).layers["fire"].gain == 1.0


def test_threshold_is_rounded_to_the_precision_of_the_run():
    node = nir.IF(r=np.ones(SHAPE), v_threshold=np.full(SHAPE, 0.1))
    layer = network_of(node, dtype=torch.float32).layers["fire"]
    assert layer.theta == np.float32(0.1)


REFUSED = {
    "v_reset": (
        {"v_reset": np.full(SHAPE, -0.5)},
        UnsupportedNodeError,
        "v_reset = 0 for reset 'zero'.*got -0.5; give --reset value",
    ),
    "v_leak": (
        {"v_leak": np.full(SHAPE, 0.7)},
        UnsupportedNodeError,
        "v_threshold > 0.7, where the membrane rests",
    ),
    "tau of 0": ({"tau": np.zeros(SHAPE)}, UnsupportedNodeError, "tau >= dt = 1.*got 0"),
    "tau": ({"tau": np.full(SHAPE, 0.01)}, UnsupportedNodeError, "tau >= dt = 1.*got 0.01"),
    "threshold": ({"v_threshold": np.zeros(SHAPE)}, UnsupportedNodeError, "v_threshold > 0"),
    "NaN": ({"r": np.full(SHAPE, np.nan)}, FormatError, "finite numbers in 'r'"),
}


@pytest.mark.parametrize(("fields", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_lif_is_refused_by_name(rng, fields, error, message):
    node = lif(rng, **({"tau": np.full(SHAPE, 2.0)} | fields))
    with pytest.raises(error, match=message) as caught:
        network_of(node)
    assert "'fire'" in str(caught.value)


def test_parameters_of_another_shape_are_refused():
    node = nir.IF(r=np.ones((3,)), v_threshold=np.arange(1.0, 4.0))
    with pytest.raises(FormatError, match=r"shape \(2, 3\) at node 'fire', got \(3,\)"):
        network_of(node)


def draw(rng, low=0.5, high=2.0):
    return rng.uniform(low, high, SHAPE)


def every(rng, kind, **fields):
    """A node of `kind` in which no field has its default value."""
    values = {
        "r": draw(rng),
        "v_leak": rng.uniform(-0.3, 0.1, SHAPE),
        "v_threshold": rng.uniform(0.2, 0.6, SHAPE),
        "v_reset": rng.uniform(-0.4, 0.1, SHAPE),
        "tau": draw(rng),
        "tau_mem": draw(rng),
        "tau_syn": draw(rng),
        "w_in": draw(rng),
    }
    known = {field.name for field in dataclasses.fields(kind) if field.name in values}
    return kind(**({name: values[name] for name in known} | fields))


def step_by_step(node, x, *, dt, reset="value"):
    """NIR's equations as written there, one Euler step after the other, from rest.

    Returns spikes and membranes before reset.
    """
    leak = getattr(node, "v_leak", 0.0)
    back = getattr(node, "v_reset", 0.0)
    tau = getattr(node, "tau_mem", getattr(node, "tau", None))
    v = np.zeros(x.shape[1:]) + (back if tau is None and reset == "value" else leak)
    i, spikes, levels = np.zeros(x.shape[1:]), [], []
    for now in x:
        i = i + dt / node.tau_syn * (-i + node.w_in * now) if hasattr(node, "tau_syn") else now
        v = v + (dt * node.r * i if tau is None else dt / tau * (leak - v + node.r * i))
        levels.append(v)
        if hasattr(node, "v_threshold"):
            fired = v > node.v_threshold
            spikes.append(fired)
            v = np.where(fired, v - node.v_threshold if reset == "subtract" else back, v)
    return np.array(spikes), np.array(levels)


@pytest.mark.parametrize("reset", ["value", "subtract"])
@pytest.mark.parametrize("kind", [nir.IF, nir.LIF, nir.CubaLIF])
def test_neurons_with_leak_reset_and_current_equal_a_loop(rng, kind, reset):
    node = every(rng, kind, **({} if reset == "value" else {"v_reset": np.zeros(SHAPE)}))
    x = rng.normal(0.7, 1, (STEPS, 4, *SHAPE))
    expected, _ = step_by_step(node, x, dt=0.25, reset=reset)
    found = network_of(node, dt=0.25, reset=reset).run(torch.tensor(x))["fire"]
    np.testing.assert_array_equal(found, expected)
    assert 0.05 < expected.mean() < 0.95


@pytest.mark.parametrize("kind", [nir.I, nir.LI, nir.CubaLI])
@pytest.mark.parametrize(("readout", "read"), [("membrane", np.mean), ("last", lambda v, _: v[-1])])
def test_integrators_equal_a_loop(rng, kind, readout, read):
    node, x = every(rng, kind), rng.normal(0.7, 1, (STEPS, 4, *SHAPE))
    _, levels = step_by_step(node, x, dt=0.25)
    found = network_of(node, dt=0.25, readout=readout).logits(torch.tensor(x))
    np.testing.assert_allclose(found, read(levels, 0).reshape(4, -1), rtol=0, atol=1e-12)


def test_threshold_fires_where_its_input_is_above(rng):
    node, x = nir.Threshold(draw(rng)), rng.normal(1, 1, (STEPS, 4, *SHAPE))
    found = network_of(node).run(torch.tensor(x))["fire"]
    np.testing.assert_array_equal(found, x > node.threshold)


def test_delay_shifts_each_neuron_by_its_own_steps(rng):
    steps, x = rng.integers(0, 5, SHAPE), rng.normal(size=(STEPS, 4, *SHAPE))
    network = network_of(nir.Delay(steps * 0.25), dt=0.25, readout="last")
    found = network.values({"input": torch.tensor(x)}, ["fire"])["fire"]
    for place in np.ndindex(SHAPE):
        late = np.concatenate([np.zeros((steps[place], 4)), x[:, :, *place]])[:STEPS]
        np.testing.assert_array_equal(found[:, :, *place], late)


def test_delay_of_a_constant_input_starts_with_nothing(rng):
    network = network_of(nir.Delay(np.full(SHAPE, 3.0)), encoding="direct", readout="membrane")
    x = torch.tensor(rng.normal(size=(1, 4, *SHAPE)))
    torch.testing.assert_close(network.logits(x), x[0].flatten(1) * (STEPS - 3) / STEPS)


@pytest.mark.parametrize("delay", [float(STEPS), 1e12, 1e30])
def test_delay_beyond_the_last_step_lets_nothing_arrive(delay):
    network = network_of(nir.Delay(np.full(SHAPE, delay)), readout="last")
    assert not network.logits(torch.ones(STEPS, 4, *SHAPE)).any()


def test_exponential_integration_is_the_exact_solution_between_steps(rng):
    node, x = every(rng, nir.LIF, v_reset=np.zeros(SHAPE)), rng.normal(0.7, 1, (STEPS, 4, *SHAPE))
    keeps, v, expected = np.exp(-0.25 / node.tau), node.v_leak + np.zeros((4, *SHAPE)), []
    for now in x:
        v = keeps * v + (1 - keeps) * (node.v_leak + node.r * now)
        expected.append(v > node.v_threshold)
        v = np.where(expected[-1], 0.0, v)
    network = network_of(node, dt=0.25, integration="exponential")
    np.testing.assert_array_equal(network.run(torch.tensor(x))["fire"], expected)
    assert 0.05 < np.mean(expected) < 0.95


@pytest.mark.parametrize("shape", [(2, 1), (1, 3), (1, *SHAPE)], ids=["channel", "column", "batch"])
def test_parameters_of_a_channel_or_with_a_batch_axis_stand_for_the_layer(rng, shape):
    fields = {name: rng.uniform(0.3, 0.9, shape) for name in ("tau", "r", "v_threshold")}
    whole = {name: np.broadcast_to(value, (1, *SHAPE))[0] for name, value in fields.items()}
    x = torch.tensor(rng.normal(1, 1, (STEPS, 4, *SHAPE)))
    spikes = [
        network_of(lif(rng, v_leak=np.zeros(part["tau"].shape), **part), dt=0.25).run(x)["fire"]
        for part in (fields, whole)
    ]
    assert torch.equal(*spikes)


def test_a_leak_that_is_also_the_reset_is_a_plain_neuron(rng):
    level = rng.uniform(-0.3, 0.1, SHAPE)
    node = every(rng, nir.LIF, v_leak=level, v_reset=level)
    assert isinstance(network_of(node, dt=0.25, reset="value").layers["fire"], NeuronLayer)


def test_a_time_constant_of_one_step_in_float32_keeps_nothing():
    tau = np.full(SHAPE, 1e-4, dtype=np.float32)
    assert float(tau[0, 0]) < 1e-4
    layer = network_of(nir.LIF(tau, tau, 0 * tau, tau), dt=1e-4).layers["fire"]
    assert layer.decay == 0.0


STEPWISE = {
    "fraction": (nir.Delay(np.full(SHAPE, 1.5)), {}, "whole time steps of 1.*got 1.5 steps"),
    "negative": (nir.Delay(np.full(SHAPE, -1.0)), {}, "whole time steps of 1.*got -1 steps"),
    "subtract": (
        nir.IF(np.ones(SHAPE), np.ones(SHAPE), np.full(SHAPE, 0.5)),
        {"reset": "subtract"},
        "v_reset = 0 for reset 'subtract'",
    ),
    "synapse": (
        nir.CubaLIF(
            np.full(SHAPE, 0.5), np.ones(SHAPE), np.ones(SHAPE), np.zeros(SHAPE), np.ones(SHAPE)
        ),
        {},
        "tau_syn >= dt",
    ),
    "exponential": (
        nir.LI(np.zeros(SHAPE), np.ones(SHAPE), np.zeros(SHAPE)),
        {"integration": "exponential", "readout": "last"},
        "tau > 0",
    ),
    "threshold": (nir.Threshold(np.zeros(SHAPE)), {}, "threshold > 0, where"),
}


@pytest.mark.parametrize(("node", "meta", "message"), STEPWISE.values(), ids=STEPWISE)
def test_node_with_memory_is_refused_by_name(node, meta, message):
    with pytest.raises(UnsupportedNodeError, match=message) as caught:
        network_of(node, **meta)
    assert "'fire'" in str(caught.value)
