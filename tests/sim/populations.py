"""Small helpers for tests of integer neurons."""

import numpy as np
import torch

from spikeproof.sim.integer_neuron import Neurons


def whole(rng, low, high, *shape):
    return rng.integers(low, high + 1, shape).astype(np.int32)


def activations(rng, *shape, low=-9, high=12):
    return torch.from_numpy(whole(rng, low, high, *shape)).float().requires_grad_()


def run(activation, population, *, bias=None, steps=None, **options):
    steps = steps or len(activation)
    return Neurons(population, like=activation, bias=bias, steps=steps, **options).run(activation)
