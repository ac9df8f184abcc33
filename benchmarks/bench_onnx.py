"""What do ONNX files cost under onnxruntime, against torch and against the twin in the same run?"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from harness import Goal, alternating, hold_memory, one_thread, ratio, report

from spikeproof.datasets.images import load
from spikeproof.deploy.lower import lower
from spikeproof.deploy.quantize import Precision, quantize
from spikeproof.export.float_onnx import network_onnx
from spikeproof.export.integer_onnx import classifier_onnx
from spikeproof.export.onnx_scope import open_session
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
    session = open_session(network_onnx(graph, NirNetwork(graph, read_meta(graph))))
    found: Calls = {
        "torch": lambda: made(given),
        "onnx": lambda: session.run(["logits"], {"images": unit})[0],
        "twin": lambda: twin(given),
    }
    for how in ("integer", "float32"):
        integers = open_session(classifier_onnx(program, how=how))
        found[f"integers, {how}"] = lambda run=integers.run: run(["logits"], {"images": levels})[0]
    check_equal(found, made.rates(given))
    return found


def check_equal(found: Calls, rates: dict[str, float]) -> None:
    """Both sides compute the same, and every layer fires."""
    assert min(rates.values()) > 0.01, rates
    answers = {
        name: np.asarray(call().detach() if name in ("torch", "twin") else call())
        for name, call in found.items()
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
                    **{f"{k} of twin": ratio(seconds, k, "twin") for k in timed if "integers" in k},
                }
                for key, value in details[label].items():
                    if key != "seconds":
                        print(f"{label}: {key}: {value:.3g}")
    report("bench_onnx", goals=goals, details=details)


if __name__ == "__main__":
    main()
