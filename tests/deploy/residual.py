"""A small residual network as a NIR graph, with every kind of skip, whole on the chip.

    image → 1 → 2 → +3 → 4 → +5 → 6 → +7 → pool → last

The first block adds spikes of 1 as they are; the second halves the map and adds a strided 1x1
convolution; the third adds the current that population 5 integrated; the pool reads 5 and 7.
"""

from dataclasses import replace
from pathlib import Path

import nir
import numpy as np

from spikeproof.deploy.deployment import DeployConfig, run
from spikeproof.deploy.lower import lower
from spikeproof.deploy.quantize import Precision, quantize
from spikeproof.sim.graph.file import write_nir
from spikeproof.sim.program import Program
from spikeproof.tests.deploy.networks import (
    CLASSES,
    SCALE,
    SHAPE,
    affine,
    chain,
    conv,
    flatten,
    integrate,
    leaky,
    meta_of,
    whole,
)

WIDE, NARROW = (4, 6, 5), (6, 3, 3)
PEAK = 127
EDGES = [
    *[("fire1", "conv2"), ("conv2", "fire2"), ("fire2", "conv3"), ("conv3", "fire3")],
    ("fire1", "fire3"),
    *[("fire3", "conv4"), ("conv4", "fire4"), ("fire4", "conv5"), ("conv5", "fire5")],
    *[("fire3", "short"), ("short", "fire5")],
    *[("fire5", "conv6"), ("conv6", "fire6"), ("fire6", "conv7"), ("conv7", "fire7")],
    *[("conv5", "fire7"), ("short", "fire7")],
    *[("fire5", "pool"), ("fire7", "pool"), ("pool", "flat"), ("flat", "last")],
    ("last", "output"),
]


def residual_graph(seed=0) -> nir.NIRGraph:
    """The network; its weights fill their fields at S = SCALE."""
    rng = np.random.default_rng(seed)
    weights = {
        "conv1": conv(whole(rng, (4, 2, 3, 3), PEAK), rng.integers(-9, 9, 4) * 30.0),
        "conv2": conv(whole(rng, (4, 4, 3, 3), PEAK), rng.integers(0, 4, 4)),
        "conv3": conv(whole(rng, (4, 4, 3, 3), PEAK), rng.integers(-4, 4, 4)),
        "conv4": conv(whole(rng, (6, 4, 3, 3), PEAK), rng.integers(0, 4, 6), stride=2),
        "conv5": small(conv(whole(rng, (6, 6, 3, 3), PEAK), rng.integers(0, 4, 6))),
        "short": conv(whole(rng, (6, 4, 1, 1), 30), stride=2, padding=0),
        "conv6": small(conv(whole(rng, (6, 6, 3, 3), PEAK))),
        "conv7": small(conv(whole(rng, (6, 6, 3, 3), PEAK))),
        "last": affine(whole(rng, (CLASSES, 6), PEAK), rng.integers(-3, 9, CLASSES)),
    }
    for node in weights.values():
        node.weight, node.bias = node.weight / SCALE, node.bias / SCALE
    graph = chain({"conv1": weights["conv1"], "fire1": integrate(WIDE, 1200 / SCALE)})
    graph.nodes |= weights | neurons()
    graph.nodes |= {"pool": nir.SumPool2d(*np.array([[3, 3], [3, 3], [0, 0]]))}
    graph.nodes |= {"flat": flatten((6, 1, 1))}
    graph.edges = [("input", "conv1"), ("conv1", "fire1"), *EDGES]
    return graph


def small(node: nir.Conv2d) -> nir.Conv2d:
    """A convolution on the map behind the stride."""
    node.input_shape = NARROW[1:]
    return node


def neurons() -> dict[str, nir.NIRNode]:
    """Thresholds at which every population fires, and not at every step."""
    wide = {name: integrate(WIDE, 40 / SCALE) for name in ("fire2", "fire3")}
    narrow = {name: integrate(NARROW, 25 / SCALE) for name in ("fire5", "fire6", "fire7")}
    return {**wide, "fire4": leaky(NARROW, 20 / SCALE), **narrow}


def residual_program(seed=0) -> Program:
    """The network as integers."""
    network = lower(residual_graph(seed), meta_of())
    return quantize(network, precision=Precision(), factors={})[0]


def without_relays(program: Program) -> Program:
    """The same synapses with no relay between, as if path lengths did not matter."""
    relays = {p.name for p in program.populations if p.is_relay}
    behind = {s.target: s.source for s in program.synapses if s.target in relays}

    def origin(name: str) -> str:
        return origin(behind[name]) if name in behind else name

    return replace(
        program,
        populations=tuple(p for p in program.populations if not p.is_relay),
        synapses=tuple(
            replace(s, source=origin(s.source)) for s in program.synapses if s.target not in relays
        ),
    )


def deploy_residual(folder: Path, *, samples=3) -> Path:
    """The bundle's folder; `model.nir` lies beside it."""
    write_nir(folder / "model.nir", residual_graph())
    run(DeployConfig(golden=samples), folder / "model.nir", folder / "bundle")
    return folder / "bundle"


assert SHAPE[1:] == WIDE[1:]
