# nir's annotations are narrower than what it takes, and nodes of a graph are known by name here.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportOptionalMemberAccess=false

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spikeproof.core.errors import DataError, NotEqualError, UnsupportedNodeError
from spikeproof.export import compare
from spikeproof.export.to_nir import to_nir
from spikeproof.export.verify import export_network, verify
from spikeproof.sim.graph.network import NirNetwork
from spikeproof.train.spiking import Spiking

NEURONS = [
    {},
    {"neuron": "lif", "decay": 0.9, "theta": 0.7},
    {"readout": "spikes", "theta": 0.7},
]
NEURON_IDS = ["if", "lif", "spiking read-out"]


@pytest.mark.parametrize("neurons", NEURONS, ids=NEURON_IDS)
def test_whole_network_survives_the_file(make_network, images, tmp_path, neurons):
    network = make_network(**neurons)
    report = export_network(network, tmp_path / "model.nir", images=images)
    assert report.samples == len(images)
    assert report.logit_difference <= 1e-9
    assert report.silent == ()
    assert all(0.02 < layer.rate < 0.98 for layer in report.layers)
    loaded = NirNetwork.load(tmp_path / "model.nir", dtype=torch.float64)
    expected = network.double().eval()(images.double() / 255)
    torch.testing.assert_close(loaded(images), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("neurons", NEURONS, ids=NEURON_IDS)
def test_rates_are_those_of_the_network(make_network, images, neurons):
    network = make_network(**neurons)
    report = verify(network, to_nir(network), images)
    rates = network.double().eval().rates(images.double() / 255)
    assert {layer.name: pytest.approx(layer.rate) for layer in report.layers} == rates


def test_real_images_make_equal_spikes(make_network, shared, tmp_path):
    with np.load(shared / "data" / "mnist-subset.npz") as data:
        images = torch.tensor(data["test_images"][:20].transpose(0, 3, 1, 2))
    network = make_network(input_shape=(1, 28, 28), classes=10, mean=(33,), std=(0.31,))
    report = export_network(network, tmp_path / "model.nir", images=images)
    assert report.silent == ()
    assert report.agreement == 1.0


def test_export_gives_equal_bytes(make_network, images, tmp_path):
    paths = [tmp_path / "a.nir", tmp_path / "b.nir"]
    for path in paths:
        export_network(make_network(), path, images=images)
    assert len({hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}) == 1


def test_batches_are_joined(make_network, monkeypatch, images):
    network = make_network()
    whole = verify(network, to_nir(network), images)
    monkeypatch.setattr("spikeproof.export.verify.BATCH", 3)
    parts = verify(network, to_nir(network), images)
    assert parts.samples == whole.samples
    rates = [[layer.rate for layer in report.layers] for report in (parts, whole)]
    np.testing.assert_allclose(*rates, rtol=1e-12)


@st.composite
def chains(draw):
    """Layers of a random network on maps [2, 8, 12], its neurons, and a seed."""
    layers, channels, height, width = [], 2, 8, 12
    decay = draw(st.sampled_from([1.0, 0.5, 0.83]))
    theta = draw(st.sampled_from([0.6, 1.0]))
    for index in range(draw(st.integers(1, 3))):
        kernel = (draw(st.integers(1, min(3, height))), draw(st.integers(1, min(3, width))))
        stride = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
        padding = (draw(st.integers(0, 2)), draw(st.integers(0, 2)))
        groups = channels if draw(st.booleans()) else 1
        outputs = groups * draw(st.integers(1, 2)) if groups > 1 else draw(st.integers(2, 5))
        conv = nn.Conv2d(
            channels,
            outputs,
            kernel,
            stride=stride,
            padding=padding,
            groups=groups,
            bias=draw(st.booleans()),
        )
        height = (height + 2 * padding[0] - kernel[0]) // stride[0] + 1
        width = (width + 2 * padding[1] - kernel[1]) // stride[1] + 1
        channels = outputs
        layers.append((f"conv{index}", conv))
        if draw(st.booleans()):
            layers.append((f"norm{index}", nn.BatchNorm2d(channels)))
        layers.append((f"spike{index}", Spiking(theta=theta, decay=decay)))
        if height % 2 == 0 and width % 2 == 0 and draw(st.booleans()):
            layers.append((f"pool{index}", nn.AvgPool2d(2)))
            height, width = height // 2, width // 2
    layers.append(("flat", nn.Flatten()))
    layers.append(("out", nn.Linear(channels * height * width, 5, bias=draw(st.booleans()))))
    return layers, draw(st.integers(0, 2**31))


def _shift_biases(network, seed):
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)


@settings(max_examples=30)
@given(case=chains())
def test_random_chains_survive(case, request):
    make_network, images = (request.getfixturevalue(name) for name in ("make_network", "images"))
    layers, seed = case
    network = make_network(layers, seed=seed)
    _shift_biases(network, seed)
    assert verify(network, to_nir(network), images[:3]).logit_difference <= 1e-9


def test_wrong_weight_is_refused_and_nothing_is_written(
    make_network, images, tmp_path, monkeypatch
):
    def wrong(network, *, classes=()):
        graph = to_nir(network, classes=classes)
        graph.nodes["conv2"].weight *= 1.3
        return graph

    monkeypatch.setattr("spikeproof.export.verify.to_nir", wrong)
    out = tmp_path / "model.nir"
    out.write_bytes(b"what was there before")
    with pytest.raises(NotEqualError, match="layer 'spike2' in float64 .* computes something else"):
        export_network(make_network(), out, images=images)
    assert out.read_bytes() == b"what was there before"
    assert list(tmp_path.iterdir()) == [out]


def test_wrong_readout_is_refused(make_network, images):
    network = make_network()
    graph = to_nir(network)
    graph.nodes["readout"].bias[3] += 1e-8
    with pytest.raises(
        NotEqualError, match="logits in float64 within 1e-09 .* difference of 1e-08"
    ):
        verify(network, graph, images)


def tie_network(make_network, norm=1.0):
    """One pixel, one neuron: the membrane is a third of the payload and meets θ exactly."""
    conv, out = nn.Conv2d(2, 1, 1, bias=False), nn.Linear(96, 5)
    network = make_network(
        [("conv", conv), ("fire", Spiking()), ("flat", nn.Flatten()), ("out", out)]
    )
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([norm, 0.0]).reshape(1, 2, 1, 1))
    return network


def test_a_tie_that_rounding_decides_is_refused_as_such(make_network, images):
    network = tie_network(make_network, 1.0)
    graph = to_nir(network)
    train = NirNetwork(graph, compare.read_meta(graph), dtype=torch.float64).membrane_input(
        "fire", {"input": torch.full((1, 1, 2, 8, 12), 100.0, dtype=torch.float64)}
    )
    graph.nodes["fire"].v_threshold[:] = float(train.flatten()[0])
    network.layers.fire.theta = float(np.nextafter(float(train.flatten()[0]), 0))
    same = torch.full_like(images, 133)
    with pytest.raises(NotEqualError, match="rounding decides"):
        verify(network, graph, same)


def test_float32_flip_far_from_the_threshold_is_refused(make_network, images, monkeypatch):
    network = make_network()
    comparison = compare.Comparison(network, to_nir(network))
    wrong = to_nir(network)
    wrong.nodes["dense1"].weight *= 1.2
    comparison.single = NirNetwork(wrong, compare.read_meta(wrong))
    with pytest.raises(NotEqualError, match="layer 'dense_spike1' in float32 to differ only where"):
        comparison.run(images)


def test_network_may_be_in_training_mode_and_is_not_changed(make_network, images, tmp_path):
    network = make_network().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    export_network(network, tmp_path / "model.nir", images=images)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_silent_layers_are_named(make_network, images):
    network = make_network(theta=1e6)
    assert verify(network, to_nir(network), images).silent[0] == "spike1"


@pytest.mark.parametrize(
    "wrong",
    [
        torch.zeros(2, 2, 8, 12),
        torch.zeros(0, 2, 8, 12, dtype=torch.uint8),
        torch.zeros(2, 2, 8, 8, dtype=torch.uint8),
    ],
    ids=["float", "none", "size"],
)
def test_other_images_are_refused(make_network, tmp_path, wrong):
    with pytest.raises(DataError, match=r"uint8 image \[N, 2, 8, 12\]"):
        export_network(make_network(), tmp_path / "model.nir", images=wrong)


def test_unknown_layer_leaves_no_file(make_network, images, tmp_path):
    network = make_network([("conv", nn.Conv2d(2, 2, 1)), ("relu", nn.ReLU())])
    with pytest.raises(UnsupportedNodeError, match="layer 1 \\('relu'\\)"):
        export_network(network, tmp_path / "model.nir", images=images)
    assert not list(tmp_path.iterdir())


def test_report_is_json(make_network, images):
    network = make_network()
    found = verify(network, to_nir(network), images).to_dict()
    assert found["samples"] == 7
    assert set(found["layers"][0]) == {"name", "rate", "flips", "margin"}
