"""Our metrics, counted by hand and by NeuroBench itself on the same network in torch."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from spikeproof.deploy.bundle import read_bundle
from spikeproof.deploy.cost import golden_messages
from spikeproof.deploy.neurobench import lines, neurobench
from spikeproof.sim.arrays import read_arrays
from spikeproof.tests.deploy.test_cost import SENT, net


@pytest.fixture(scope="module")
def theirs():
    try:
        from neurobench.metrics import static, workload  # pyright: ignore[reportMissingImports]
        from neurobench.models import TorchModel  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        pytest.skip(f"NOT TESTED: expected neurobench, got {error}; pip install neurobench==2.3.0")
    return static, workload, TorchModel


class Neurons(nn.Module):
    """Integrate and fire over T steps that are folded into the batch, step by step."""

    def __init__(self, population, steps):
        super().__init__()
        kinds = {"vth": np.int32, "du": np.int16, "dv": np.int16, "bias": np.int16}
        for key, kind in kinds.items():
            if (value := getattr(population, key)) is not None:
                self.register_buffer(key, torch.from_numpy(np.asarray(value, kind)))
        self.steps = steps

    def forward(self, x):
        v, spikes = torch.zeros(()), []
        for current in x.unflatten(0, (self.steps, -1)):
            v = v + current + getattr(self, "bias", 0)
            spikes.append((v > self.vth).to(x))
            v = v * (1 - spikes[-1])
        return torch.cat(spikes)


def in_torch(program, steps):
    """A chain of synapses and neurons, and the neurons of its end, which never fire."""
    layers = []
    for synapse in program.synapses:
        size = int(np.prod(program.shapes[synapse.source]))
        if synapse.is_conv:
            out, inside, *kernel = synapse.weight.shape
            channels = inside * synapse.groups
            layer = nn.Conv2d(channels, out, tuple(kernel), **synapse.geometry, bias=False)
        else:
            layers.append(nn.Flatten())
            layer = nn.Linear(size, len(synapse.weight), bias=False)
        layer.weight = nn.Parameter(torch.from_numpy(synapse.weight).double())
        layers += [layer, Neurons(program.population(synapse.target), steps)]
    return nn.Sequential(*layers[:-1]), layers[-1]


@pytest.fixture(scope="module")
def run(sealed):
    """A bundle's program, its golden samples, and what was sent in them."""
    program, golden = read_bundle(sealed).program, read_arrays(sealed / "golden.npz")
    return program, golden, golden_messages(program, golden)


def test_metrics_equal_those_of_neurobench(run, theirs):
    (program, golden, sent), (static, workload, wrap) = run, theirs
    steps, count = golden["s0"].shape[:2]
    network, readout = in_torch(program, steps)
    held = torch.from_numpy(golden["images"]).permute(0, 3, 1, 2).double()
    payload = held - torch.tensor(program.encoding.offset)[:, None, None]
    model = wrap(network)
    model.add_activation_module(Neurons)
    model.register_hooks()
    with torch.no_grad():
        model(payload.repeat(steps, 1, 1, 1))
    data = (torch.empty(count), None)
    ours = neurobench(program, sent=sent, multiplies=True, steps=steps)
    operations = workload.SynapticOperations()(model, None, data)
    assert ours["SynapticOperations"] == pytest.approx(operations, rel=1e-12)
    assert ours["ActivationSparsity"] == pytest.approx(
        workload.ActivationSparsity()(model, None, data), rel=1e-12
    )
    assert 0.1 < ours["ActivationSparsity"] < 0.99
    assert round(ours["ConnectionSparsity"], 4) == static.ConnectionSparsity()(model)
    stored = copy.deepcopy(network).append(readout)
    for layer in stored:
        if isinstance(layer, nn.Linear | nn.Conv2d):
            layer.weight = nn.Parameter(layer.weight.to(torch.int8), requires_grad=False)
    assert ours["Footprint"] == static.Footprint()(wrap(stored))


def test_metrics_agree_with_a_count_by_hand():
    found = neurobench(net(), sent=SENT, multiplies=True, steps=4)
    assert found["Footprint"] == 9 + 6 + 2 * (4 + 2 + 2)
    assert found["ConnectionSparsity"] == pytest.approx((4 + 2) / 15)
    assert found["ActivationSparsity"] == 1 - 4.5 / (4 * 5)
    operations = {"Effective_MACs": 2 * 2 + 4 * 2, "Effective_ACs": 1 + 6 + 0.5, "Dense": 4 * 15}
    assert found["SynapticOperations"] == operations
    assert "Effective_MACs 12, Effective_ACs 7.5, Dense 60" in lines(found)[0]
