"""A network that integers and floats compute alike, for gradients to be compared on."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from spikeproof.sim.interface import Readout
from spikeproof.sim.neurons.neuron import integrate_and_fire
from spikeproof.sim.program import Population, Program, Source, Synapse
from spikeproof.tests.sim.populations import whole

STEPS = 5
"""A decay of one half keeps whole numbers exact in 64ths for as many steps, and more."""


def lossless(rng, *, dv, readout):
    """A network whose integers are also floats: convolution, dense layer, shortcut, read-out."""
    last: dict[str, Any] = (
        {"du": 4096, "dv": 4096, "vth": 131071} if readout == "sum" else {"vth": 30, "dv": dv}
    )
    populations = (
        Population(name="a", shape=(4, 3, 3), dv=dv, vth=40, bias=whole(rng, -9, 9, 4, 1, 1)),
        Population(name="b", shape=(6,), dv=dv, vth=11, bias=whole(rng, -2, 2, 6), phase=1),
        Population(name="relay", shape=(4, 3, 3), dv=0, vth=0, phase=1, is_relay=True),
        Population(name="out", shape=(3,), phase=2, bias=whole(rng, -5, 5, 3), **last),
    )
    identity = np.eye(4, dtype=np.int32).reshape(4, 4, 1, 1)
    synapses = (
        Synapse(
            source="x",
            target="a",
            weight=whole(rng, -7, 7, 4, 2, 3, 3),
            stride=(2, 2),
            padding=(1, 1),
        ),
        Synapse(source="a", target="b", weight=whole(rng, -6, 8, 6, 36)),
        Synapse(source="a", target="relay", weight=identity),
        Synapse(source="b", target="out", weight=whole(rng, -9, 9, 3, 6)),
        Synapse(source="relay", target="out", weight=whole(rng, -3, 3, 3, 36)),
    )
    return Program(
        sources=(Source(name="x", shape=(2, 5, 5), low=-4, high=4, message_bits=4),),
        populations=populations,
        synapses=synapses,
        outputs=("out",),
        readout=Readout(population="out", kind=readout, scale=1.0),
    )


def float_network(program, x, *, decay, each, weights=None, biases=None):
    """The same network on real numbers: the relay is a wire, the read-out a sum over time.

    Weights, one a synapse, and biases of `a`, `b` and `out` may be given to be differentiated.
    """
    a, b, _, out = program.populations
    if weights is None:
        weights = [torch.from_numpy(s.weight).float() for s in program.synapses]
    if biases is None:
        biases = [torch.from_numpy(p.bias).float() for p in (a, b, out)]
    now = F.conv2d(x, weights[0], stride=2, padding=1) + biases[0]
    held = now.expand(STEPS, *now.shape)
    first = integrate_and_fire(held, theta=float(a.vth), decay=decay, estimator=each)
    flat = first.flatten(2)
    second = integrate_and_fire(
        flat @ weights[1].T + biases[1], theta=float(b.vth), decay=decay, estimator=each
    )
    last = second @ weights[3].T + flat @ weights[4].T + biases[2]
    if program.readout.kind == "spikes":
        last = integrate_and_fire(last, theta=float(out.vth), decay=decay, estimator=each)
    return {"a": first, "b": second}, last.sum(0)
