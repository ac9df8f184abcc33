"""What does a step of each training method cost, and of SR* against a plain Norse loop?

`bench_train_step.py` measures VGG-5 on a CPU; `bench_train_step.py gpu` VGG-11 on a CUDA device.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from harness import Goal, alternating, hold_memory, one_thread, ratio, report
from norse_step import NorseStep
from torch import nn

from spikeproof.datasets.images import ImageData
from spikeproof.train.config import NetworkOptions, TrainConfig
from spikeproof.train.network import SpikingNetwork
from spikeproof.train.processes import Processes, start
from spikeproof.train.training import Training, fresh

PENALTY = {"penalty_weight": 0.002}
METHODS: dict[str, dict[str, Any]] = {"vanilla": {}, "at": {}, "sr": PENALTY, "srstar": PENALTY}
DENSE_GAIN = 4.0
OVER_VANILLA = {"srstar": 6.0, "sr": 2.8, "at": 4.5}
OVER_NORSE = {"srstar": 0.85, "srstar, bf16": 0.65}


@dataclass(frozen=True, kw_only=True)
class Case:
    """Where and what is measured."""

    device: str
    architecture: str
    batch: int
    rounds: int
    clock: Callable[[], float]
    options: dict[str, Any]


CASES = {
    "cpu": Case(
        device="cpu", architecture="vgg5", batch=8, rounds=5, clock=time.process_time, options={}
    ),
    "gpu": Case(
        device="cuda",
        architecture="vgg11",
        batch=64,
        rounds=15,
        clock=time.perf_counter,
        options={"memory_format": "channels_last", "neuron_kernel": "triton"},
    ),
}


def random_data(count: int) -> ImageData:
    """Noise in the shape of CIFAR-10."""
    draws = np.random.default_rng(0)
    images = draws.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
    labels = draws.integers(0, 10, count)
    return ImageData(
        name="noise",
        train_images=images,
        train_labels=labels,
        test_images=images[:1],
        test_labels=labels[:1],
        classes=tuple("0123456789"),
    )


def training(case: Case, data: ImageData, method: str, precision: str = "32-true") -> Training:
    """One in which a step changes next to nothing, so that all rounds see the same network."""
    config = TrainConfig(
        method=method,
        batch_size=case.batch,
        learning_rate=1e-6,
        augment=False,
        holdout=0.0,
        precision=precision,
        **METHODS[method],
        **case.options,
    )
    network = NetworkOptions(architecture=case.architecture).network(data)
    fabric, _ = start(Processes(device=case.device), precision)
    made = Training(config, fresh(network, config), data, fabric=fabric)
    made.network.train()
    enliven(made.network)
    return made


@torch.no_grad()
def enliven(network: nn.Module) -> None:
    """Stronger weights behind spikes: dense layers would be silent at first."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            layer.weight.mul_(DENSE_GAIN)


def step(made: Training) -> torch.Tensor:
    """A step on the first batch."""
    return made._step(*next(made._batches(1)), torch.Generator().manual_seed(1))


def norse_step(made: Training, own: NorseStep) -> torch.Tensor:
    """The same step by the Norse loop."""
    images, labels, _ = next(made._batches(1))
    return own(images, labels, torch.Generator().manual_seed(1))


def waiting(call: Callable[[], torch.Tensor]) -> Callable[[], float]:
    """Ends when the device has."""
    return lambda: call().item()


def main() -> None:
    """Measures all in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", nargs="?", choices=CASES, default="cpu")
    case = CASES[parser.parse_args().case]
    if case.device == "cuda" and not torch.cuda.is_available():
        print("NOT MEASURED: no GPU")
        raise SystemExit(2)
    one_thread()
    hold_memory()
    data = random_data(case.batch)
    trainings = {method: training(case, data, method) for method in METHODS}
    trainings["srstar, bf16"] = training(case, data, "srstar", "bf16-mixed")
    calls = {name: waiting(partial(step, made)) for name, made in trainings.items()}
    base = training(case, data, "srstar")
    network = base.network
    assert isinstance(network, SpikingNetwork)
    norse = NorseStep(network, base.config)
    calls["srstar, norse"] = waiting(partial(norse_step, base, norse))
    first = {name: call() for name, call in calls.items()}
    assert abs(first["srstar"] - first["srstar, norse"]) < 1e-3 * first["srstar"], first
    seconds = alternating(calls, rounds=case.rounds, clock=case.clock)
    goals = [
        Goal(name=f"{name} of vanilla", ratio=ratio(seconds, name, "vanilla"), at_most=limit)
        for name, limit in OVER_VANILLA.items()
    ]
    goals += [
        Goal(
            name=f"{name} of a Norse loop",
            ratio=ratio(seconds, name, "srstar, norse"),
            at_most=limit,
        )
        for name, limit in OVER_NORSE.items()
    ]
    rates = network.rates(next(base._batches(1))[0])
    details = {
        "case": asdict(case) | {"clock": case.clock.__name__},
        "seconds": seconds,
        "losses": first,
        "rates": rates,
    }
    suffix = "" if case.device == "cpu" else "_gpu"
    report(f"bench_train_step{suffix}", goals=goals, details=details)


if __name__ == "__main__":
    main()
