"""Every family of networks through a file and back, on real data, with every layer firing.

Widths are small; with the published ones the tests are slow (a minute and up to 7 GB each), and
`pytest -m slow tests/export/test_families.py --write-results` writes `docs/results/export.json`.
"""

import json
from dataclasses import replace
from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from torch import nn

from spikeproof.core.files import write_json
from spikeproof.core.record import versions
from spikeproof.export.onnx_compare import compare_onnx
from spikeproof.export.to_nir import to_nir
from spikeproof.export.verify import export_network
from spikeproof.train.architectures import architecture
from spikeproof.train.network import NetworkConfig, SpikingNetwork
from spikeproof.train.wiring import Mixture

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results" / "export.json"
CIFAR = {
    "input_shape": (3, 32, 32),
    "classes": 10,
    "steps": 8,
    "mean": (125, 123, 114),
    "std": (0.25, 0.24, 0.26),
}
EVENTS = {
    "input_shape": (2, 48, 48),
    "classes": 10,
    "steps": 10,
    "encoding": "frames",
    "mean": (0, 0),
    "std": (0.41, 0.37),
}
FAMILIES = {
    "VGG-5": NetworkConfig(architecture="vgg5", widths=(4, 6, 6), hidden=(24, 20), **CIFAR),
    "VGG-11": NetworkConfig(
        architecture="vgg11", widths=(4, 5, 6, 6, 8, 8, 8, 8), hidden=(20, 16), **CIFAR
    ),
    "VGG-DVS": NetworkConfig(
        architecture="vgg11", widths=(4, 4, 6, 6, 6, 6, 8, 8), hidden=(20, 16), **EVENTS
    ),
    "WRN-16-4": NetworkConfig(architecture="wrn16-4", widths=(3, 4, 6), hidden=(), **CIFAR),
}
NEURONS = {"IF": {}, "LIF": {"neuron": "lif", "decay": 0.85, "theta": 0.8}}
READOUTS = ("membrane", "spikes")
BATCHES = (1, 32)


def real(config, shared, count):
    """CIFAR-10 images, or N-MNIST recordings binned into frames of the size of `config`."""
    if config.encoding == "direct":
        with np.load(shared / "data" / "cifar10-subset.npz") as data:
            return torch.tensor(data["test_images"][:count].transpose(0, 3, 1, 2))
    files = sorted((shared / "data" / "NMNIST" / "Test").glob("*/*.bin"))[:: 50 // count][:count]
    return torch.stack([torch.tensor(frames(file, config)) for file in files], dim=1)


def frames(file, config):
    """Events of one recording counted in T equal spans, twice as large, `[T, C, H, W]`."""
    b = np.fromfile(file, np.uint8).reshape(-1, 5).astype(np.int64)
    time = (b[:, 2] & 127) << 16 | b[:, 3] << 8 | b[:, 4]
    step = np.minimum(time * config.steps // (time.max() + 1), config.steps - 1)
    counts = np.zeros((config.steps, *config.input_shape), dtype=np.uint8)
    # 34x34 sensor cells, scaled to fill the frame
    y, x = (np.minimum(b[:, k] * 48 // 34, 47) for k in (1, 0))
    np.add.at(counts, (step, b[:, 2] >> 7, y, x), 1)
    return counts


def firing(config, samples, seed=0):
    """A network of random weights whose norms have the statistics of what reaches them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SpikingNetwork(config).train()
        with torch.no_grad():
            for module in network.modules():
                _draw(module)
            network(samples / 255 if config.encoding == "direct" else samples.float())
    return network.eval()


def _draw(module):
    if isinstance(module, nn.BatchNorm2d):
        module.momentum = 1.0
        module.weight.uniform_(0.7, 1.5)
        module.bias.normal_(0.2, 0.3)
    elif isinstance(module, nn.Linear):
        module.weight.mul_(3.0)
        module.bias.normal_(0.2, 0.3)
    elif isinstance(module, Mixture):
        module.weight.uniform_(0.3, 0.9)


def assert_survives(config, shared, path, count):
    samples = real(config, shared, count)
    report = export_network(firing(config, samples), path / "model.nir", images=samples)
    assert report.samples == count
    assert report.silent == ()
    assert min(layer.rate for layer in report.layers) > 0.005
    assert max(layer.rate for layer in report.layers) < 0.95
    assert report.logit_difference <= 1e-9
    assert max(layer.margin for layer in report.layers) <= 1e-5
    return report


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("neurons", NEURONS.values(), ids=NEURONS)
@pytest.mark.parametrize("config", FAMILIES.values(), ids=FAMILIES)
def test_family_survives_the_file(config, neurons, readout, shared, tmp_path):
    config = replace(config, readout=readout, **neurons)
    report = assert_survives(config, shared, tmp_path, 3)
    assert len(report.layers) >= 5
    graph = nir.read(tmp_path / "model.nir")  # plain nir, its type checks on
    assert graph.metadata["steps"] == config.steps


@pytest.fixture(scope="module")
def results(request):
    """What slow tests found, by kind and case; written behind the last of them."""
    found = {"cases": {}, "onnx": {}}
    yield found
    if request.config.getoption("--write-results"):
        before = json.loads(RESULTS.read_text())
        kept = {kind: before.get(kind, {}) | cases for kind, cases in found.items()}
        write_json(RESULTS, kept | {"versions": versions()})


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("neurons", NEURONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_family_of_published_size_survives_the_file(
    family, neurons, readout, shared, tmp_path, results
):
    config = FAMILIES[family]
    plan = architecture(config.architecture)
    sizes = {"widths": plan.widths, "hidden": getattr(plan, "hidden", ())}
    config = replace(config, readout=readout, **sizes, **NEURONS[neurons])
    report = assert_survives(config, shared, tmp_path, 4)
    (tmp_path / "model.nir").unlink()  # up to 900 MB, and pytest keeps folders of several runs
    results["cases"][f"{family}, {neurons}, {readout}"] = summary(report)


@pytest.mark.slow
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("neurons", NEURONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_onnx_of_a_family_equals_torch(family, neurons, batch, shared, results):
    config = replace(FAMILIES[family], **NEURONS[neurons])
    samples = real(config, shared, 32)
    report = compare_onnx(to_nir(firing(config, samples)), samples, batch=batch)
    assert min(layer.rate for layer in report.layers) > 0.005
    assert max(layer.margin for layer in report.layers) <= 1e-5
    assert report.logit_difference <= 1e-5
    assert report.unflipped > 0.5
    results["onnx"][f"{family}, {neurons}, batch {batch}"] = summary_of_onnx(report)


def test_record_of_published_sizes_is_whole():
    record = json.loads(RESULTS.read_text())
    kinds = [f"{family}, {neurons}" for family in FAMILIES for neurons in NEURONS]
    assert record["cases"].keys() == {f"{kind}, {r}" for kind in kinds for r in READOUTS}
    assert record["onnx"].keys() == {f"{kind}, batch {b}" for kind in kinds for b in BATCHES}
    off = "largest difference of a logit in float64"
    assert all(case[off] <= 1e-9 for case in record["cases"].values())


def summary(report):
    """A report as the record holds it."""
    rates = [layer.rate for layer in report.layers]
    return {
        "samples": report.samples,
        "layers": len(report.layers),
        "rates": [min(rates), max(rates)],
        "largest difference of a logit in float64": report.logit_difference,
        "trains that differ in float32, layer by layer": sum(la.flips for la in report.layers),
        "largest |v - theta| of these, in sums of |w|": max(la.margin for la in report.layers),
        "share in the same class in float32, end to end": report.agreement,
    }


def summary_of_onnx(report):
    """Likewise, of the small network under onnxruntime."""
    return {
        "samples": report.samples,
        "share without a flipped spike": report.unflipped,
        "largest difference of their logits": report.logit_difference,
        "trains that differ, layer by layer": sum(la.flips for la in report.layers),
        "largest |v - theta| of these, in sums of |w|": max(la.margin for la in report.layers),
        "share in the same class": report.agreement,
    }
