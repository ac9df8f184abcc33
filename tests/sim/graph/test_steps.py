# nir's annotations are narrower than what it takes, and nodes of a graph are known by name here.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

import nir
import numpy as np
import pytest
import torch

from spikeproof.core.errors import FormatError, UnsupportedNodeError
from spikeproof.sim.gradients.estimators import ESTIMATORS, estimator
from spikeproof.sim.gradients.surrogate import Surrogate
from spikeproof.sim.graph.meta import NirMeta
from spikeproof.sim.graph.network import NirNetwork

N, STEPS, OUT = 5, 9, 3
SURROGATES = [name for name, found in ESTIMATORS.items() if isinstance(found, Surrogate)]


def meta_of(**changes):
    fields = {"dt": 1.0, "steps": STEPS, "encoding": "frames", "readout": "membrane"}
    return NirMeta(**(fields | {"reset": "zero"} | changes))


def fire(rng, size=N):
    return nir.IF(rng.uniform(0.5, 1, size), rng.uniform(0.3, 0.7, size))


def looped(rng, **nodes):
    """Neurons a and b that reach one another through matrices, a itself directly, and an output."""
    nodes = {
        "input": nir.Input(np.array([N])),
        "a": fire(rng),
        "forth": nir.Affine(rng.normal(size=(N, N)), rng.normal(size=N) / 4),
        "b": fire(rng),
        "back": nir.Linear(rng.normal(size=(N, N))),
        "out": nir.Linear(rng.normal(size=(OUT, N))),
        "output": nir.Output(np.array([OUT])),
    } | nodes
    edges = [("input", "a"), ("a", "forth"), ("forth", "b"), ("b", "back"), ("back", "a")]
    return nir.NIRGraph(
        nodes, [*edges, ("a", "a"), ("b", "out"), ("out", "output")], type_check=False
    )


def loop(graph, x):
    """The looped graph step by step: what returns into a loop does so a step later."""
    n = graph.nodes
    va = vb = np.zeros(x.shape[1:])
    sa = sb = np.zeros(x.shape[1:])
    found = {"a": [], "b": []}
    for now in x:
        va = va + n["a"].r * (now + sb @ n["back"].weight.T + sa)
        vb = vb + n["b"].r * (sa @ n["forth"].weight.T + n["forth"].bias)
        sa, sb = (va > n["a"].v_threshold) * 1.0, (vb > n["b"].v_threshold) * 1.0
        va, vb = va * (1 - sa), vb * (1 - sb)
        found["a"].append(sa)
        found["b"].append(sb)
    return {name: np.stack(train) for name, train in found.items()}


def test_loop_equals_a_plain_loop(rng):
    graph, x = looped(rng), rng.normal(size=(STEPS, 4, N))
    network = NirNetwork(graph, meta_of(), dtype=torch.float64)
    expected, found = loop(graph, x), network.run(torch.tensor(x))
    assert network.loops == (("a", "b", "back", "forth"),)
    for name, train in expected.items():
        np.testing.assert_array_equal(found[name], train)
        assert 0.05 < train.mean() < 0.95
    logits = (expected["b"] @ graph.nodes["out"].weight.T).mean(0)
    np.testing.assert_allclose(network.logits(torch.tensor(x)), logits, rtol=0, atol=1e-12)


def test_constant_input_of_a_loop_is_there_at_every_step(rng):
    network = NirNetwork(looped(rng), meta_of(encoding="direct"), dtype=torch.float64)
    x = torch.tensor(rng.normal(size=(1, 4, N)))
    assert torch.equal(network.logits(x), network.logits(x.expand(STEPS, 4, N)))


def test_delay_in_a_loop_adds_to_the_step_of_the_loop(rng):
    graph = looped(rng, a=fire(rng))
    graph.nodes["late"] = nir.Delay(np.full(N, 2.0))
    graph.edges = [e for e in graph.edges if e != ("a", "a")] + [("a", "late"), ("late", "a")]
    x = torch.zeros(STEPS, 1, N, dtype=torch.float64)
    x[0] = 2.0
    graph.nodes["back"].weight[:] = 0
    found = NirNetwork(graph, meta_of(), dtype=torch.float64).run(x)["a"][:, 0]
    assert found[0].all()
    assert not found[1:3].any()


@pytest.mark.parametrize("name", SURROGATES)
def test_gradient_through_a_loop_equals_one_of_plain_autograd(rng, name):
    graph = looped(rng)
    x = torch.tensor(rng.normal(size=(STEPS, 4, N)), requires_grad=True)
    network = NirNetwork(graph, meta_of(), dtype=torch.float64).using(name)
    network.logits(x).square().sum().backward()
    assert x.grad is not None
    found = x.grad.clone()
    x.grad = None
    unrolled(graph, x, name).square().sum().backward()
    torch.testing.assert_close(found, x.grad, rtol=1e-9, atol=1e-12)
    assert found.abs().sum() > 0


def unrolled(graph, x, name):
    """The looped graph in torch, its spikes given the estimator's slope at each step."""
    how, n = estimator(name), graph.nodes
    assert isinstance(how, Surrogate)
    kept = (lambda s: s) if how.reset == "attached" else torch.Tensor.detach
    w = {k: torch.tensor(n[k].weight) for k in ("forth", "back", "out")}
    r, theta = ({k: torch.tensor(getattr(n[k], f)) for k in "ab"} for f in ("r", "v_threshold"))

    def spike(h, t):
        slope = how.shape(h.detach() / t - 1) / t
        return (h > t).double() + slope * (h - h.detach())

    va = vb = sa = sb = torch.zeros_like(x[0])
    out = []
    for now in x:
        va = va + r["a"] * (now + sb @ w["back"].T + sa)
        vb = vb + r["b"] * (sa @ w["forth"].T + torch.tensor(n["forth"].bias))
        sa, sb = spike(va, theta["a"]), spike(vb, theta["b"])
        va, vb = va * (1 - kept(sa)), vb * (1 - kept(sb))
        out.append(sb @ w["out"].T)
    return torch.stack(out).mean(0)


@pytest.mark.parametrize("reset", ["value", "subtract"])
def test_gradient_of_current_based_neurons_is_finite_and_not_zero(rng, reset):
    ones = np.ones(N)
    cuba = nir.CubaLIF(2 * ones, 3 * ones, 2 * ones, 0 * ones, ones / 3, 0 * ones, 2 * ones)
    nodes = {"input": nir.Input(np.array([N])), "fire": cuba, "output": nir.Output(np.array([N]))}
    graph = nir.NIRGraph(nodes, [("input", "fire"), ("fire", "output")])
    x = torch.tensor(rng.normal(size=(STEPS, 4, N)), requires_grad=True)
    network = NirNetwork(graph, meta_of(readout="spikes", reset=reset), dtype=torch.float64)
    network.logits(x).square().sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().sum() > 0


def test_rate_gradient_of_a_loop_is_refused_by_name(rng):
    network = NirNetwork(looped(rng), meta_of())
    with pytest.raises(UnsupportedNodeError, match=r"node 'a' \(IF\), got 'rga'"):
        network.using("rga")


def test_every_estimator_that_a_loop_lists_is_accepted(rng):
    network = NirNetwork(looped(rng), meta_of())
    assert list(network.estimators) == SURROGATES
    for name in network.estimators:
        network.using(name)


def test_loop_of_linear_nodes_is_refused_with_its_nodes(rng):
    graph = looped(rng)
    graph.nodes["again"] = nir.Linear(np.eye(N))
    graph.edges += [("forth", "again"), ("again", "forth")]
    with pytest.raises(UnsupportedNodeError, match="in every loop, got the loop .*forth -> again"):
        NirNetwork(graph, meta_of())


def test_loop_that_nothing_leads_to_is_refused(rng):
    graph = looped(rng)
    graph.edges = [e for e in graph.edges if e[0] != "input"]
    graph.edges += [("input", "out")]
    with pytest.raises(FormatError, match="a path from the input to node 'a'"):
        NirNetwork(graph, meta_of())


def test_loop_of_another_shape_is_refused(rng):
    graph = looped(rng, back=nir.Linear(rng.normal(size=(N + 1, N))))
    with pytest.raises(FormatError, match="inputs of one shape at node 'a'"):
        NirNetwork(graph, meta_of())
