"""What does one layer of neurons cost, against other libraries' layers in the same run?"""

import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version

import torch
from harness import Goal, alternating, hold_memory, one_thread, ratio, report
from peers import PEERS, VERSIONS, Layer
from torch import Tensor

from spikeproof.sim.gradients.estimators import TRAINING, estimator
from spikeproof.sim.neurons.neuron import KERNELS, integrate_and_fire

SHAPE = (8, 8, 64, 32, 32)
"""T N C H W: 16 MiB of float32."""
ROUNDS = 15
LIMITS = {"norse": 0.30, "spikingjelly": 0.40, "snntorch": 0.20}
MOST_SAVED = 1.05


def ours(kernel_name: str) -> Layer:
    """Our layer."""
    how = estimator(TRAINING)
    return lambda x: integrate_and_fire(x, theta=1.0, estimator=how, kernel_name=kernel_name)


def forward_and_backward(layer: Layer, x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Spikes, and the gradient with respect to x of their weighted sum."""
    x = x.detach().requires_grad_()
    spikes = layer(x)
    (gradient,) = torch.autograd.grad(spikes, x, weights)
    return spikes.detach(), gradient


def saved_share(layer: Layer, x: Tensor) -> float:
    """Bytes held for the backward pass, over those of the input."""
    held: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        held[storage.data_ptr()] = storage.nbytes()
        return tensor

    x = x.detach().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        spikes = layer(x)
    del spikes
    return sum(held.values()) / x.untyped_storage().nbytes()


def check_equal(layers: dict[str, Layer], run: Callable[[Layer], tuple[Tensor, Tensor]]) -> None:
    """All fire alike, and all but snnTorch, whose triangle is another, have the same gradient."""
    spikes, gradient = run(layers["ours"])
    assert 0.05 < float(spikes.mean()) < 0.3
    for name, layer in layers.items():
        fired, slope = run(layer)
        assert torch.equal(fired, spikes), f"{name} fires otherwise"
        assert name == "snntorch" or torch.allclose(slope, gradient, atol=1e-5), name


def main() -> None:
    """Measures all in turn; `bench_neuron.py compiled` adds kernels of that name."""
    one_thread()
    hold_memory()
    kernels = {name: ours(name) for name in sys.argv[1:] if name in KERNELS}
    layers = {"ours": ours("fused"), **kernels, **{k: make() for k, make in PEERS.items()}}
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(SHAPE, generator=draws) * 0.5 + 0.1
    weights = torch.randn(SHAPE, generator=draws)
    check_equal(layers, partial(forward_and_backward, x=x, weights=weights))
    calls = {k: partial(forward_and_backward, each, x, weights) for k, each in layers.items()}
    seconds = alternating(calls, rounds=ROUNDS, clock=time.process_time)
    saved = {name: saved_share(layer, x) for name, layer in layers.items()}
    goals = [
        Goal(name=f"of the time of {name}", ratio=ratio(seconds, "ours", name), at_most=limit)
        for name, limit in LIMITS.items()
    ]
    goals.append(Goal(name="saved, of the input", ratio=saved["ours"], at_most=MOST_SAVED))
    details = {
        "shape": SHAPE,
        "seconds": seconds,
        "saved": saved,
        "kernels, of the fused time": {k: ratio(seconds, k, "ours") for k in kernels},
        "peers": {name: version(name) for name in ("norse", *VERSIONS)},
    }
    report("bench_neuron", goals=goals, details=details)


if __name__ == "__main__":
    main()
