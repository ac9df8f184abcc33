"""Programs of the paper's sizes, whose weights are all alike: what counts is how many there are."""

import numpy as np

from spikeproof.sim.program import Population, Program, Source, Synapse

IMAGE = Source(name="x", shape=(3, 32, 32), low=-128, high=127, message_bits=9)


class Layers:
    """A program in the making, layer by layer, each named by its place."""

    def __init__(self):
        self.populations, self.synapses = [], []

    def add(self, shape, *synapses):
        """A population of a shape, fed by (source, weight shape, options)."""
        name = f"p{len(self.populations)}"
        for source, weight_shape, options in synapses:
            weight = np.ones(weight_shape, np.int32)
            weight[:, 0] = -1
            self.synapses.append(Synapse(source=source, target=name, weight=weight, **options))
        self.populations.append(Population(name=name, shape=shape, vth=9))
        return name

    def program(self):
        last = self.populations[-1].name
        return Program(
            sources=(IMAGE,),
            populations=tuple(self.populations),
            synapses=tuple(self.synapses),
            outputs=(last,),
        )


def vgg11():
    """64-128-256-512×5 with each average pool merged into the layer behind it, 4096-4096-10."""
    layers, before, channels, side = Layers(), "x", 3, 32
    plan = ((64, 1), (128, 1), (256, 2), (512, 1), (512, 2), (512, 1), (512, 2), (512, 1))
    for out, stride in plan:
        side //= stride
        options = {"stride": (stride,) * 2, "padding": (1, 1)}
        kernel = 3 if stride == 1 else 4
        weight = (out, channels, kernel, kernel)
        before, channels = layers.add((out, side, side), (before, weight, options)), out
    size = channels * side * side
    for out in (4096, 4096, 10):
        before, size = layers.add((out,), (before, (out, size), {})), out
    return layers.program()


def wrn16_4():
    """Three stages of 64, 128 and 256 channels, two blocks each; shortcuts through relays."""
    layers, same = Layers(), {"padding": (1, 1)}
    before, channels, side = layers.add((16, 32, 32), ("x", (16, 3, 3, 3), same)), 16, 32
    for out, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        strided = {"stride": (stride,) * 2}
        side //= stride
        shape, first = (out, side, side), (before, (out, channels, 3, 3), strided | same)
        middle = layers.add(shape, first)
        relay = layers.add(shape, (before, (out, channels, 1, 1), strided))
        second, shortcut = (middle, (out, out, 3, 3), same), (relay, (out, out, 1, 1), {})
        before, channels = layers.add(shape, second, shortcut), out
    layers.add((10,), (before, (10, channels * side * side), {}))
    return layers.program()
