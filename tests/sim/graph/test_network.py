# nir's annotations are narrower than what it takes, and nodes of a graph are known by name here.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportOptionalMemberAccess=false

from dataclasses import replace

import nir
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from spikeproof.core.errors import ConfigError, DataError, FormatError, UnsupportedNodeError
from spikeproof.sim.gradients.estimators import PUBLISHED
from spikeproof.sim.graph.file import write_nir
from spikeproof.sim.graph.meta import InputLattice, NirMeta
from spikeproof.sim.graph.network import NirNetwork

STEPS = 6
META = NirMeta(
    dt=1.0,
    steps=STEPS,
    encoding="direct",
    readout="membrane",
    reset="zero",
    input_lattice=InputLattice(offset=(20, 100)),
)
SHAPE = (2, 6, 6)


def conv(rng, outputs, inputs, size):
    weight = rng.normal(size=(outputs, inputs, 3, 3))
    return nir.Conv2d((size, size), weight, 1, 1, 1, 1, rng.normal(size=outputs))


def fire(shape, theta):
    return nir.IF(np.ones(shape), np.full(shape, theta))


@pytest.fixture
def skip_graph(rng):
    """Two paths of unequal length that meet again before the second neurons."""
    nodes = {
        "input": nir.Input(np.array(SHAPE)),
        "a": conv(rng, 3, 2, 6),
        "fire_a": fire((3, 6, 6), 300.0),
        "b": conv(rng, 3, 3, 6),
        "short": nir.Conv2d((6, 6), rng.normal(size=(3, 2, 1, 1)) / 100, 1, 0, 1, 1, np.zeros(3)),
        "fire_b": fire((3, 6, 6), 1.5),
        "flat": nir.Flatten({"input": np.array([3, 6, 6])}, 0, -1),
        "out": nir.Affine(rng.normal(size=(4, 108)), rng.normal(size=4)),
        "output": nir.Output(np.array([4])),
    }
    edges = [("input", "a"), ("a", "fire_a"), ("fire_a", "b"), ("b", "fire_b"), ("input", "short")]
    edges += [("short", "fire_b"), ("fire_b", "flat"), ("flat", "out"), ("out", "output")]
    return nir.NIRGraph(nodes, edges)


def loop(graph, images):
    """The skip graph step by step in plain torch."""
    n = graph.nodes
    p = torch.round(images * 255) - torch.tensor([20.0, 100.0]).double().reshape(2, 1, 1)
    w = {k: torch.tensor(n[k].weight) for k in ("a", "b", "short", "out")}
    b = {k: torch.tensor(n[k].bias) for k in w}
    va = vb = torch.zeros(len(p), 3, 6, 6).double()
    spikes, outputs = {"fire_a": [], "fire_b": []}, []
    for _ in range(STEPS):
        va = va + F.conv2d(p, w["a"], b["a"], padding=1)
        sa = (va > 300.0).double()
        va = va * (1 - sa)
        vb = vb + F.conv2d(sa, w["b"], b["b"], padding=1) + F.conv2d(p, w["short"], b["short"])
        sb = (vb > 1.5).double()
        vb = vb * (1 - sb)
        spikes["fire_a"].append(sa)
        spikes["fire_b"].append(sb)
        outputs.append(sb.flatten(1) @ w["out"].T + b["out"])
    return {name: torch.stack(s) for name, s in spikes.items()}, torch.stack(outputs).mean(0)


@pytest.fixture
def images(rng):
    return torch.tensor(rng.integers(0, 256, (5, *SHAPE), dtype=np.uint8))


def double(graph, meta=META):
    return NirNetwork(graph, meta, dtype=torch.float64)


def test_skip_network_equals_a_plain_loop(skip_graph, images):
    network = double(skip_graph)
    spikes, logits = loop(skip_graph, images / 255.0)
    found = network.run(network.encode(images))
    assert list(found) == ["fire_a", "fire_b"]
    for name, train in spikes.items():
        assert torch.equal(found[name], train)
        assert 0.05 < train.mean() < 0.95
    torch.testing.assert_close(network(images), logits, rtol=0, atol=1e-12)


def test_one_step_stands_for_a_constant_train(skip_graph, images):
    network = double(skip_graph)
    train = network.encode(images)
    whole = train.expand(STEPS, *train.shape[1:])
    assert torch.equal(network.logits(train), network.logits(whole))


def test_uint8_images_equal_images_in_unit_range(skip_graph, images):
    network = NirNetwork(skip_graph, META)
    assert torch.equal(network(images), network(images.float() / 255))


def test_edge_order_does_not_change_the_graph(skip_graph, images):
    turned = nir.NIRGraph(skip_graph.nodes, skip_graph.edges[::-1], type_check=False)
    torch.testing.assert_close(double(turned)(images), double(skip_graph)(images))


@pytest.mark.parametrize("name", PUBLISHED)
def test_estimators_share_the_forward_and_reach_the_image(skip_graph, images, name):
    network = double(skip_graph)
    x = (images.double() / 255).requires_grad_()
    other = network.using(name)
    logits = other(x)
    logits.square().sum().backward()
    assert torch.equal(logits, network(images))
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().sum() > 0


def test_estimators_differ_in_the_gradient(skip_graph, images):
    grads = []
    for name in PUBLISHED:
        x = (images.double() / 255).requires_grad_()
        double(skip_graph).using(name)(x).square().sum().backward()
        grads.append(x.grad)
    assert all(not torch.equal(grads[0], grad) for grad in grads[1:])


def test_using_leaves_the_first_network_alone(skip_graph, images):
    network = double(skip_graph)

    def gradient():
        x = (images.double() / 255).requires_grad_()
        network(x).square().sum().backward()
        return x.grad

    before = gradient()
    network.using("arctan")
    assert torch.equal(gradient(), before)


def test_unknown_estimator_is_refused(skip_graph):
    with pytest.raises(ConfigError, match="got 'square'"):
        double(skip_graph).using("square")


def test_a_layer_runs_alone_on_its_recorded_input(skip_graph, images):
    network = double(skip_graph)
    train = network.encode(images)
    spikes = network.run(train)
    flipped = {"input": train, "fire_a": 1 - spikes["fire_a"]}
    found = network.values(flipped, ["fire_b"])["fire_b"]
    assert not torch.equal(found, spikes["fire_b"])
    assert torch.equal(network.values({**flipped, "fire_b": found}, ["fire_b"])["fire_b"], found)


def test_membrane_input_is_the_sum_of_the_edges(skip_graph, images):
    network = double(skip_graph)
    train = network.encode(images)
    values = network.values({"input": train}, ["b", "short"])
    found = network.membrane_input("fire_b", {"input": train})
    assert torch.equal(found, values["b"] + values["short"])
    assert len(network.membrane_input("fire_a", {"input": train})) == STEPS


def test_values_refuse_a_missing_input(skip_graph):
    with pytest.raises(DataError, match="expected a value for node 'input', got only"):
        double(skip_graph).values({}, ["fire_a"])


def test_spike_readout_counts_spikes(rng):
    nodes = {
        "input": nir.Input(np.array([4])),
        "in": nir.Linear(rng.normal(size=(3, 4))),
        "fire": fire((3,), 0.7),
        "output": nir.Output(np.array([3])),
    }
    graph = nir.NIRGraph(nodes, [("input", "in"), ("in", "fire"), ("fire", "output")])
    meta = NirMeta(dt=1.0, steps=STEPS, encoding="frames", readout="spikes", reset="zero")
    network = double(graph, meta)
    train = torch.tensor(rng.normal(size=(STEPS, 5, 4)))
    assert torch.equal(network.logits(train), network.run(train)["fire"].sum(0))


def test_file_runs_as_its_graph(skip_graph, images, tmp_path):
    skip_graph.metadata = META.to_metadata()
    write_nir(tmp_path / "skip.nir", skip_graph)
    network = NirNetwork.load(tmp_path / "skip.nir", dtype=torch.float64)
    assert network.meta == META
    assert torch.equal(network(images), double(skip_graph)(images))


def test_file_without_metadata_needs_it_given(skip_graph, images, tmp_path):
    skip_graph.metadata = {}
    write_nir(tmp_path / "skip.nir", skip_graph)
    with pytest.raises(FormatError, match="give --dt --steps --encoding --readout --reset"):
        NirNetwork.load(tmp_path / "skip.nir")
    given = {"dt": 1.0, "steps": 2, "encoding": "direct", "readout": "membrane", "reset": "zero"}
    assert NirNetwork.load(tmp_path / "skip.nir", **given)(images).shape == (5, 4)


def test_frames_network_refuses_images(skip_graph, images):
    meta = NirMeta(dt=1.0, steps=2, encoding="frames", readout="membrane", reset="zero")
    with pytest.raises(DataError, match="encoding 'frames', got images"):
        double(skip_graph, meta)(images)


@pytest.mark.parametrize("shape", [(2, 5, *SHAPE), (1, 5, 2, 6, 5), (STEPS, 5)])
def test_train_of_another_shape_is_refused(skip_graph, shape):
    with pytest.raises(DataError, match=r"expected a train \[T N 2 6 6\]"):
        double(skip_graph).logits(torch.zeros(shape))


def changed(graph, *, nodes=(), edges=None):
    merged = dict(graph.nodes) | dict(nodes)
    return nir.NIRGraph(merged, list(edges or graph.edges), type_check=False)


def test_edge_to_nowhere_is_refused(skip_graph):
    graph = changed(skip_graph, edges=[*skip_graph.edges, ("b", "nowhere")])
    with pytest.raises(FormatError, match="got 'b' -> 'nowhere'"):
        double(graph)


def test_double_edge_is_refused(skip_graph):
    graph = changed(skip_graph, edges=[*skip_graph.edges, ("a", "fire_a")])
    with pytest.raises(FormatError, match="got 'a' -> 'fire_a'"):
        double(graph)


def test_node_without_input_is_refused(skip_graph):
    graph = changed(skip_graph, edges=[e for e in skip_graph.edges if e[1] != "b"])
    with pytest.raises(FormatError, match="expected an edge into node 'b', got none"):
        double(graph)


def test_second_output_is_refused(skip_graph):
    graph = changed(skip_graph, nodes={"more": nir.Output(np.array([4]))})
    with pytest.raises(UnsupportedNodeError, match="one Output node, got 2 \\['more', 'output'\\]"):
        double(graph)


def test_sum_of_unequal_shapes_is_refused(skip_graph):
    graph = changed(skip_graph, edges=[*skip_graph.edges, ("input", "fire_b")])
    with pytest.raises(FormatError, match="inputs of one shape at node 'fire_b'"):
        double(graph)


def test_output_of_another_shape_is_refused(skip_graph):
    graph = changed(skip_graph, nodes={"output": nir.Output(np.array([5]))})
    with pytest.raises(FormatError, match=r"shape \(5,\) at node 'output'"):
        double(graph)


@pytest.mark.parametrize(
    "shape", [None, np.array(4), np.array([[2, 6, 6]]), [2, 6.5, 6], [2, 0, 6]]
)
def test_input_without_shape_is_refused(skip_graph, shape):
    graph = changed(skip_graph, nodes={"input": nir.Input({"input": shape})})
    with pytest.raises(FormatError, match="a shape without batch axis at node 'input'"):
        double(graph)


def test_layer_without_neurons_is_refused(skip_graph):
    graph = changed(skip_graph, nodes={"out": nir.Affine(np.ones((0, 108)), np.zeros(0))})
    with pytest.raises(FormatError, match=r"values at node 'out' \(Affine\), got none"):
        double(graph)


def test_names_of_classes_that_are_not_as_many_as_logits_are_refused(skip_graph):
    meta = replace(META, classes=("a", "b"))
    with pytest.raises(FormatError, match="expected 4 names in metadata 'classes', .* got 2"):
        double(skip_graph, meta)


def test_numbers_beyond_the_precision_of_the_run_are_refused_by_name(skip_graph):
    graph = changed(skip_graph, nodes={"out": nir.Affine(np.full((4, 108), 1e39), np.zeros(4))})
    assert double(graph)(torch.zeros(1, 2, 6, 6)).shape == (1, 4)
    with pytest.raises(FormatError, match=r"node 'out' \(Affine\) that torch.float32 holds"):
        NirNetwork(graph, META)


def test_unknown_node_is_refused_by_name(skip_graph):
    class Odd(nir.Linear):
        pass

    graph = changed(skip_graph, nodes={"out": Odd(np.ones((4, 108)))})
    with pytest.raises(UnsupportedNodeError, match="node 'out' to be one of .*, got Odd"):
        double(graph)


def test_membrane_readout_of_neurons_is_refused(skip_graph):
    edges = [e for e in skip_graph.edges if e[0] not in ("fire_b", "flat", "out")]
    graph = nir.NIRGraph(
        {n: node for n, node in skip_graph.nodes.items() if n not in ("flat", "out", "output")}
        | {"output": nir.Output(np.array([3, 6, 6]))},
        [*edges, ("fire_b", "output")],
        type_check=False,
    )
    with pytest.raises(UnsupportedNodeError, match="'fire_b' \\(IF\\); give --readout spikes"):
        double(graph)


def test_spike_readout_of_a_linear_node_is_refused(skip_graph):
    meta = NirMeta(dt=1.0, steps=2, encoding="direct", readout="spikes", reset="zero")
    with pytest.raises(UnsupportedNodeError, match="'out' \\(Affine\\); give --readout membrane"):
        double(skip_graph, meta)
