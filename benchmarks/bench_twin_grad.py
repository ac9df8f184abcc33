"""What does a gradient through the integer twin cost against one through the float network?"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from harness import Goal, alternating, one_thread, ratio, report
from networks import SMALL, VGG11, network
from torch import Tensor

from spikeproof.sim.classifier import LEVELS, TwinClassifier
from spikeproof.sim.gradients.estimators import estimator
from spikeproof.sim.neurons.neuron import integrate_and_fire
from spikeproof.sim.program import Program

Network = Callable[[Tensor], Tensor]
ESTIMATOR, STEPS = "triangle", 8
NETWORKS = {
    "conv16 s2 - conv32 s2 - 128 - 10, batch 64": (SMALL, (128,), 64),
    "VGG-11's first four convolutions - 10, batch 4": (VGG11[:4], (), 4),
}
ROUNDS = 7


def float_network(program: Program) -> Network:
    """The same network on real numbers, weights in units of the threshold as they are trained."""
    thetas = [float(p.vth) for p in program.populations[:-1]] + [1.0]
    weights = [
        torch.from_numpy(s.weight).float() / theta
        for s, theta in zip(program.synapses, thetas, strict=True)
    ]
    assert program.encoding is not None
    offset = torch.tensor(program.encoding.offset)[:, None, None]

    def weighed(x: Tensor, layer: int) -> Tensor:
        synapse, weight = program.synapses[layer], weights[layer]
        flat = x.flatten(0, 1)
        if synapse.is_conv:
            sums = F.conv2d(flat, weight, stride=synapse.stride, padding=synapse.padding)
        else:
            sums = F.linear(flat.flatten(1), weight)
        return sums.unflatten(0, x.shape[:2])

    def logits(images: Tensor) -> Tensor:
        x = (images * LEVELS - offset)[None]
        for layer in range(len(weights) - 1):
            # Images enter once and stand for every step, as they do in training.
            arriving = weighed(x, layer)
            arriving = arriving.expand(STEPS, *arriving.shape[1:])
            x = integrate_and_fire(arriving, theta=1.0, estimator=estimator(ESTIMATOR))
        return weighed(x, len(weights) - 1).sum(0) * 1e-4

    return logits


def gradient(classifier: Network, images: Tensor) -> Tensor:
    """Of the squared logits with respect to the images."""
    x = images.clone().requires_grad_()
    (found,) = torch.autograd.grad(classifier(x).square().sum(), x)
    return found


def main() -> None:
    """Measures forward and backward of both in turn."""
    one_thread()
    goals, details = [], {}
    for name, (convs, hidden, batch) in NETWORKS.items():
        program = network(convs, hidden, steps=STEPS)
        images = torch.rand(batch, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        peers: dict[str, Network] = {
            "twin": TwinClassifier(program, using=ESTIMATOR),
            "float": float_network(program),
        }
        assert float(gradient(peers["twin"], images).abs().max()) > 0
        ways = {key: partial(gradient, each, images) for key, each in peers.items()}
        seconds = alternating(ways, rounds=ROUNDS)
        spread = ratio(seconds, "twin", "float")
        goals.append(Goal(name=f"of the float time, {name}", ratio=spread, at_most=1.6))
        details[name] = seconds
    report("bench_twin_grad", goals=goals, details=details)


if __name__ == "__main__":
    main()
