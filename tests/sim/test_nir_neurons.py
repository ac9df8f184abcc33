# nir's annotations are narrower than what it takes, and nodes of a graph are known by name here.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportOptionalMemberAccess=false

import nir
import numpy as np
import pytest
import torch

from spikeproof.core.errors import FormatError, UnsupportedNodeError
from spikeproof.sim.nir_graph import NirNetwork
from spikeproof.sim.nir_meta import NirMeta

SHAPE, STEPS = (2, 3), 20


def network_of(node, *, dt=1.0, dtype=torch.float64):
    meta = NirMeta(dt=dt, steps=STEPS, encoding="frames", readout="spikes", reset="zero")
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
    "v_reset": ({"v_reset": np.full(SHAPE, -0.5)}, UnsupportedNodeError, "v_reset = 0.*got -0.5"),
    "v_leak": ({"v_leak": np.full(SHAPE, 0.1)}, UnsupportedNodeError, "v_leak = 0.*got 0.1"),
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
