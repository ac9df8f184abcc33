"""Files as other frameworks' exporters write them, against those frameworks' own equations.

The graphs are built by hand; each function names the exporter whose conventions it follows.
"""
# nir's annotations are narrower than what it takes.
# pyright: reportArgumentType=false

from itertools import pairwise

import nir
import numpy as np
import pytest
import torch

from spikeproof.core.errors import FormatError
from spikeproof.sim.graph.file import write_nir
from spikeproof.sim.graph.network import NirNetwork

N, STEPS, BATCH = 6, 12, 4
FRAMES = {"steps": STEPS, "encoding": "frames", "readout": "spikes"}


def load(path, nodes, edges=None, *, shape=(N,), out=(N,), **given):
    """The network of a file of a row of nodes between an input and an output."""
    names = ["input", *nodes, "output"]
    ends = {"input": nir.Input(np.array(shape)), "output": nir.Output(np.array(out))}
    edges = edges or list(pairwise(names))
    write_nir(path / "foreign.nir", nir.NIRGraph(ends | nodes, edges, type_check=False))
    return NirNetwork.load(path / "foreign.nir", dtype=torch.float64, **(FRAMES | given))


def spikes_of(network, x, name):
    return network.run(torch.tensor(x))[name].numpy()


@pytest.fixture
def x(rng):
    return rng.normal(0.4, 0.8, (STEPS, BATCH, N))


def test_snntorch_leaky_loads(tmp_path, rng, x):
    """`export_to_nir` of `Linear` and `Leaky(reset_delay=False)`: dt 1e-4, values without axes."""
    dt, beta, weight = 1e-4, np.float64(0.9), rng.normal(size=(N, N))
    tau = dt / (1 - beta)
    lif = nir.LIF(tau, tau / dt, np.float64(0.0), np.float64(0.8), np.float64(0.0))
    network = load(tmp_path, {"0": nir.Linear(weight), "1": lif}, dt=dt, reset="subtract")
    v, expected = np.zeros((BATCH, N)), []
    for now in x:
        v = beta * v + now @ weight.T
        expected.append(v > 0.8)
        v = v - 0.8 * expected[-1]
    np.testing.assert_array_equal(spikes_of(network, x, "1"), expected)
    assert 0.05 < np.mean(expected) < 0.95


def test_snntorch_recurrent_synaptic_loads_as_a_nested_graph(tmp_path, rng, x):
    """`export_to_nir` of `RSynaptic`: a graph with the nodes `lif` and `w_rec`."""
    dt, alpha, beta = 1e-4, 0.5, 0.8
    ones, back, bias = np.ones(N), rng.normal(size=(N, N)) / 2, rng.normal(size=N) / 4
    syn, mem = dt / (1 - alpha) * ones, dt / (1 - beta) * ones
    inner = {
        "input": nir.Input([N]),
        "lif": nir.CubaLIF(syn, mem, mem / dt, 0 * ones, 0.9 * ones, w_in=syn / dt),
        "w_rec": nir.Affine(back, bias),
        "output": nir.Output([N]),
    }
    edges = [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")]
    network = load(tmp_path, {"rsyn": nir.NIRGraph(inner, edges)}, dt=dt, reset="subtract")
    i = v = s = np.zeros((BATCH, N))
    expected = []
    for now in x:
        i = alpha * i + now + s @ back.T + bias
        v = beta * v + i
        s = (v > 0.9) * 1.0
        v = v - 0.9 * s
        expected.append(s)
    np.testing.assert_array_equal(spikes_of(network, x, "rsyn.lif"), expected)
    assert 0.05 < np.mean(expected) < 0.95


def test_norse_lif_box_loads_with_the_square_of_its_step(tmp_path, x):
    """`to_nir` of `LIFBoxCell`: tau is multiplied by dt once too often, so dt² stands for dt."""
    dt, inverse = 0.001, 300.0
    zero = np.float64(0.0)
    lif = nir.LIF(np.float64(dt / inverse), np.float64(1.0), zero, np.float64(0.3), zero)
    network = load(tmp_path, {"1": lif}, dt=dt * dt, reset="zero")
    v, expected = np.zeros((BATCH, N)), []
    for now in x:
        v = v + dt * inverse * (now - v)
        expected.append(v > 0.3)
        v = np.where(expected[-1], 0.0, v)
    np.testing.assert_array_equal(spikes_of(network, x, "1"), expected)


@pytest.mark.parametrize("decay_input", [True, False])
def test_spikingjelly_lif_loads_with_its_reset(tmp_path, x, decay_input):
    """`export_to_nir` of `LIFNode(v_reset=-0.2)`: full shapes, v_leak is v_reset."""
    dt, tau, v_reset = 1e-4, 2.5, -0.2
    full = [np.full(N, value) for value in (tau * dt, 1.0 if decay_input else tau, v_reset, 0.6)]
    lif = nir.LIF(*full, v_reset=np.full(N, v_reset))
    network = load(tmp_path, {"lif": lif}, dt=dt, reset="value")
    v, expected = np.full((BATCH, N), v_reset), []
    for now in x:
        charge = now / tau if decay_input else now
        v = v - (v - v_reset) / tau + charge
        expected.append(v >= 0.6)
        v = np.where(expected[-1], v_reset, v)
    np.testing.assert_array_equal(spikes_of(network, x, "lif"), expected)


def test_spikingjelly_if_loads_with_its_reset(tmp_path, x):
    """`export_to_nir` of `IFNode(v_reset=-0.2)`: r is 1/dt."""
    node = nir.IF(np.full(N, 1e4), np.full(N, 0.6), np.full(N, -0.2))
    network = load(tmp_path, {"if": node}, dt=1e-4, reset="value")
    v, expected = np.full((BATCH, N), -0.2), []
    for now in x:
        v = v + now
        expected.append(v >= 0.6)
        v = np.where(expected[-1], -0.2, v)
    np.testing.assert_array_equal(spikes_of(network, x, "if"), expected)


def test_sinabs_iaf_loads_with_its_batch_axes(tmp_path, rng):
    """`to_nir` of Conv2d, `IAFSqueeze`, `SumPool2d`, Flatten and Linear.

    Neurons carry a batch axis, the flatten four zeros and axes counted with the batch.
    """
    shape = (3, 4, 6)
    maps = (1, *shape)
    weight, dense = rng.normal(size=(3, 2, 3, 3)), rng.normal(size=(5, 18))
    nodes = {
        "0": nir.Conv2d((4, 6), weight, (1, 1), (1, 1), (1, 1), 1, np.zeros(3)),
        "1": nir.IF(np.ones(maps), np.full(maps, 1.5)),
        "2": nir.SumPool2d(np.array((2, 2)), np.array((2, 2)), np.array((0, 0))),
        "3": nir.Flatten({"input": np.array([0, 0, 0, 0])}, start_dim=1, end_dim=-1),
        "4": nir.Affine(dense, np.zeros(5)),
    }
    given = {"dt": 1.0, "reset": "subtract", "readout": "membrane"}
    network = load(tmp_path, nodes, shape=(2, 4, 6), out=(5,), **given)
    x = torch.tensor(rng.normal(0.4, 0.8, (STEPS, BATCH, 2, 4, 6)))
    v, out = torch.zeros(BATCH, *shape, dtype=torch.float64), 0.0
    for now in x:
        v = v + torch.nn.functional.conv2d(now, torch.tensor(weight), padding=1)
        s = (v >= 1.5).double()
        v = v - 1.5 * s
        out = out + torch.nn.functional.avg_pool2d(s, 2).flatten(1) * 4 @ torch.tensor(dense).T
    torch.testing.assert_close(network.logits(x), out / STEPS, rtol=0, atol=1e-9)


def test_sinabs_lif_loads_with_exponential_integration(tmp_path, x):
    """`to_nir` of `LIF(tau_mem=5)`: tau in steps, a single value; it decays by exp(−1/tau)."""
    tau = np.array([5.0])
    lif = nir.LIF(tau, np.ones(1), np.zeros(1), np.full(1, 0.2))
    given = {"dt": 1.0, "reset": "subtract", "integration": "exponential"}
    network = load(tmp_path, {"lif": lif}, **given)
    alpha, v, expected = np.exp(-1 / 5.0), np.zeros((BATCH, N)), []
    for now in x:
        v = alpha * v + (1 - alpha) * now
        expected.append(v >= 0.2)
        v = v - 0.2 * expected[-1]
    np.testing.assert_array_equal(spikes_of(network, x, "lif"), expected)


def test_rockpool_cuba_lif_loads_without_input_weights(tmp_path, x):
    """`to_nir` of `LIFTorch`: `w_in` is left out, r is tau·exp(−dt/tau)/dt."""
    dt, ones = 1e-3, np.ones(N)
    r = 0.01 * np.exp(-dt / 0.01) / dt
    cuba = nir.CubaLIF(0.005 * ones, 0.01 * ones, r * ones, 0 * ones, 0.3 * ones)
    network = load(tmp_path, {"lif": cuba}, dt=dt, reset="subtract", integration="exponential")
    syn, mem = np.exp(-dt / 0.005), np.exp(-dt / 0.01)
    i = v = np.zeros((BATCH, N))
    expected = []
    for now in x:
        i = syn * i + (1 - syn) * now
        v = mem * v + (1 - mem) * r * i
        expected.append(v > 0.3)
        v = v - 0.3 * expected[-1]
    np.testing.assert_array_equal(spikes_of(network, x, "lif"), expected)


def test_rockpool_ends_load_with_the_batch_of_their_sample(tmp_path, rng, x):
    """`to_nir` of a network without a sample: its ends are `[1, N]` and `[1, 1, N]`."""
    weight = rng.normal(size=(N, N))
    nodes = {"0": nir.Linear(weight)}
    given = {"dt": 1.0, "reset": "zero", "readout": "membrane"}
    network = load(tmp_path, nodes, shape=(1, N), out=(1, 1, N), **given)
    np.testing.assert_allclose(network.logits(torch.tensor(x)), x.mean(0) @ weight.T, atol=1e-12)


def test_axis_that_is_no_batch_stays_one(tmp_path):
    """Two channels of a map with an axis too few are no batch."""
    with pytest.raises(FormatError, match=r"expected an input of shape \(6,\) at node '0'"):
        load(tmp_path, {"0": nir.Linear(np.ones((N, N)))}, shape=(2, N), dt=1.0, reset="zero")


def test_lava_cuba_neurons_load_with_decays_of_4096ths(tmp_path, rng, x):
    """As the NIR project's scripts write netx layers: tau = dt·4096/decay, r and w_in undo it."""
    dt, ones, weight = 1e-4, np.ones(N), rng.integers(-20, 20, (N, N)).astype(float)
    syn, mem = dt * 4096 / 1024, dt * 4096 / 512
    cuba = nir.CubaLIF(syn * ones, mem * ones, mem / dt * ones, 0 * ones, 30 * ones)
    cuba.w_in = syn / dt * ones
    nodes = {"0": nir.Affine(weight, np.zeros(N)), "1": cuba}
    network = load(tmp_path, nodes, dt=dt, reset="zero")
    u = v = np.zeros((BATCH, N))
    expected = []
    for now in x:
        u = u * (1 - 1024 / 4096) + now @ weight.T
        v = v * (1 - 512 / 4096) + u
        expected.append(v > 30)
        v = np.where(expected[-1], 0.0, v)
    np.testing.assert_array_equal(spikes_of(network, x, "1"), expected)


def test_foreign_file_without_dt_says_what_it_needs(tmp_path):
    node = nir.IF(np.ones(N), np.ones(N))
    with pytest.raises(FormatError, match="got no dt, reset; give --dt --reset"):
        load(tmp_path, {"if": node}, dt=None, reset=None)
