"""What do ONNX files cost under onnxruntime, against torch and against the twin in the same run?

`linear` is what convolutions, dense layers and pools cost under onnxruntime without any neuron: no
float file can cost less. onnxruntime's convolutions are no faster than torch's, and its operations
on single values run through the whole memory once each, while torch's kernel computes all steps of
neurons in the cache.
"""

import time
from collections.abc import Callable
from typing import Any

import nir
import numpy as np
import torch
from harness import Goal, alternating, hold_memory, one_thread, ratio, report

from spikeproof.datasets.images import load
from spikeproof.deploy.lower import lower
from spikeproof.deploy.quantize import Precision, quantize
from spikeproof.export.float_linear import LINEAR, Place
from spikeproof.export.float_onnx import network_onnx
from spikeproof.export.integer_onnx import classifier_onnx
from spikeproof.export.onnx_scope import Scope, open_session
from spikeproof.export.to_nir import to_nir
from spikeproof.sim.classifier import TwinClassifier
from spikeproof.sim.graph.meta import read_meta
from spikeproof.sim.graph.network import NirNetwork
from spikeproof.train.network import NetworkConfig, SpikingNetwork

ROUNDS, BATCHES, MOST = 15, (1, 32), 0.60
DIGITS = NetworkConfig(
    architecture="digits-conv",
    input_shape=(1, 8, 8),
    classes=10,
    steps=8,
    widths=(16, 32),
    hidden=(),
    mean=(78,),
    std=(0.38,),
)
"""The network of the digits presets, which the demo trains."""
VGG5 = NetworkConfig(
    architecture="vgg5",
    input_shape=(3, 32, 32),
    classes=10,
    steps=8,
    widths=(16, 32, 32),
    hidden=(64,),
    mean=(125, 123, 114),
    std=(0.25, 0.24, 0.26),
)
"""The network of the small CIFAR presets: larger, so that convolutions decide."""

Calls = dict[str, Callable[[], Any]]


def network(config: NetworkConfig) -> SpikingNetwork:
    """A network in which every layer fires; weights decide little about time."""
    torch.manual_seed(0)
    made = SpikingNetwork(config).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "norm" in name and name.endswith("bias"):
                parameter.fill_(0.4)
    return made


def images(config: NetworkConfig, count: int) -> np.ndarray:
    """Digits where they fit, else noise, uint8."""
    if config is DIGITS:
        return load("digits").test_images[:count]
    shape = (count, *config.input_shape)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def calls(config: NetworkConfig, count: int) -> Calls:
    """All that is timed, on the same images."""
    made, levels = network(config), images(config, count)
    unit = levels.astype(np.float32) / 255
    graph = to_nir(made)
    program, _ = quantize(lower(graph, read_meta(graph)), precision=Precision(), factors={})
    twin, given = TwinClassifier(program), torch.from_numpy(unit)
    floats = NirNetwork(graph, read_meta(graph))
    session = open_session(network_onnx(floats))
    found: Calls = {
        "torch": lambda: made(given),
        "onnx": lambda: session.run(["logits"], {"images": unit})[0],
        "linear": linear(graph, floats, levels),
        "twin": lambda: twin(given),
    }
    for how in ("integer", "float32"):
        integers = open_session(classifier_onnx(program, how=how))
        found[f"integers, {how}"] = lambda run=integers.run: run(["logits"], {"images": levels})[0]
    check_equal(found, made.rates(given))
    return found


def linear(
    graph: nir.NIRGraph, network: NirNetwork, levels: np.ndarray
) -> Callable[[], list[np.ndarray]]:
    """Every convolution and dense layer alone, on what reaches it, one after the other."""
    train, sessions = network.encode(torch.from_numpy(levels)), []
    for name, layer in network.layers.items():
        node = graph.nodes[name]
        if layer is None or not isinstance(node, nir.Conv2d | nir.Affine):
            continue
        (source,) = network.sources[name]
        x = network.values({network.input: train}, [source])[source].flatten(0, 1).numpy()
        maps = None
        if isinstance(graph.nodes[source], nir.Flatten):
            maps = network.layers[network.sources[source][0]]
        place = Place(
            fields=vars(node),
            before=x.shape[1:],
            after=layer.shape,
            flattened=None if maps is None else maps.shape,
        )
        sessions.append((single(place, type(node)), x))
    return lambda: [session.run(["y"], {"x": x})[0] for session, x in sessions]


def single(place: Place, kind: type[nir.NIRNode]) -> Any:
    """One linear node, ready to run."""
    scope = Scope()
    scope.rename(LINEAR[kind](scope, place, "x"), "y")
    ends = {
        name: (np.float32, ["B", *shape])
        for name, shape in (("x", place.before), ("y", place.after))
    }
    return open_session(
        scope.model(
            name="one", doc="", inputs={"x": ends["x"]}, outputs={"y": ends["y"]}, metadata={}
        )
    )


def check_equal(found: Calls, rates: dict[str, float]) -> None:
    """Both sides compute the same, and every layer fires."""
    assert min(rates.values()) > 0.01, rates
    answers = {
        name: np.asarray(call().detach() if name in ("torch", "twin") else call())
        for name, call in found.items()
        if name != "linear"
    }
    assert (answers["torch"].argmax(1) == answers["onnx"].argmax(1)).mean() > 0.9
    for how in ("integer", "float32"):
        assert answers[f"integers, {how}"].tobytes() == answers["twin"].tobytes()


def main() -> None:
    """Measures all in turn, in time of this process: others may use the machine."""
    one_thread()
    hold_memory()
    goals, details = [], {}
    with torch.no_grad():
        for name, config in (("digits-conv", DIGITS), ("VGG-5", VGG5)):
            for count in BATCHES:
                timed = calls(config, count)
                seconds = alternating(timed, rounds=ROUNDS, warm_up=2, clock=time.process_time)
                of_torch = ratio(seconds, "onnx", "torch")
                label = f"{name}, batch {count}"
                goals.append(Goal(name=f"of torch, {label}", ratio=of_torch, at_most=MOST))
                details[label] = {
                    "seconds": seconds,
                    "onnx of torch": of_torch,
                    "convolutions and dense layers alone, onnx of torch": ratio(
                        seconds, "linear", "torch"
                    ),
                    **{f"{k} of twin": ratio(seconds, k, "twin") for k in timed if "integers" in k},
                }
                for key, value in details[label].items():
                    if key != "seconds":
                        print(f"{label}: {key}: {value:.3g}")
    report("bench_onnx", goals=goals, details=details)


if __name__ == "__main__":
    main()
