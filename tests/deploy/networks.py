"""Small networks to deploy: NIR graphs whose numbers are whole on the chip, and a spiking network.

Every weight, bias and threshold of a lattice network is a multiple of 1/SCALE and its largest
weight fills the field, so that quantising it changes nothing.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import torch
from torch import nn

from spikeproof.deploy.deployment import DeployConfig, run
from spikeproof.sim.graph.file import write_nir
from spikeproof.sim.graph.meta import InputLattice, NirMeta
from spikeproof.train.network import NetworkConfig, SpikingNetwork

SHAPE = (2, 6, 5)
OFFSET = (33, 120)
SCALE = 16.0
STEPS = 6
CLASSES = 4
DT = 0.25

DIGITS = NetworkConfig(
    architecture="digits-conv",
    input_shape=(1, 8, 8),
    classes=10,
    steps=4,
    widths=(3, 4),
    hidden=(),
    mean=(78,),
    std=(0.38,),
)
"""Fits the digits data set and runs in milliseconds."""


def meta_of(**changes) -> NirMeta:
    """How the graphs below are run."""
    fields: dict[str, Any] = {
        "dt": DT,
        "steps": STEPS,
        "encoding": "direct",
        "readout": "membrane",
        "reset": "zero",
        "input_lattice": InputLattice(scale=255, offset=OFFSET),
    }
    return NirMeta(**(fields | changes))


def weight(*shape: int) -> np.ndarray:
    """Weights of both signs, the same at every call."""
    return np.random.default_rng(1).uniform(-1, 1, shape)


def chain(nodes: Mapping[str, nir.NIRNode], shape=SHAPE, out=(CLASSES,), meta=None) -> nir.NIRGraph:
    """A graph of named nodes in a row between an input and an output."""
    names = ["input", *nodes, "output"]
    ends: dict[str, nir.NIRNode] = {
        "input": nir.Input({"input": np.array(shape)}),
        "output": nir.Output({"output": np.array(out)}),
    }
    return nir.NIRGraph(
        ends | dict(nodes),
        list(pairwise(names)),
        metadata=dict((meta or meta_of()).to_metadata()),
        type_check=False,
    )


def conv(weight, bias=None, **options) -> nir.Conv2d:
    """A convolution on a map of the height and width of SHAPE, by default with padding 1."""
    fields: dict[str, Any] = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1} | options
    bias = np.zeros(len(weight)) if bias is None else bias
    return nir.Conv2d(input_shape=SHAPE[1:], weight=weight, bias=bias, **fields)


def affine(weight, bias=None) -> nir.Affine:
    """A dense node."""
    return nir.Affine(weight=weight, bias=np.zeros(len(weight)) if bias is None else bias)


def flatten(shape) -> nir.Flatten:
    """A node that merges the axes of a map."""
    return nir.Flatten({"input": np.array(shape)}, start_dim=0, end_dim=-1)


def linear(graph: nir.NIRGraph, name: str) -> nir.Affine | nir.Conv2d:
    """A node of a graph that has weights, to be changed."""
    node = graph.nodes[name]
    assert isinstance(node, nir.Affine | nir.Conv2d)
    return node


def add_to(path: Path, name: str, amount: object) -> None:
    """Adds to the numbers of a dataset in an HDF5 file."""
    with h5py.File(path, "r+") as file:
        stored = file[name]
        assert isinstance(stored, h5py.Dataset)
        stored[...] = stored[()] + amount


def integrate(shape, theta, *, gain=1.0) -> nir.IF:
    """IF neurons with the given gain."""
    return nir.IF(
        r=np.full(shape, gain / DT), v_threshold=np.full(shape, theta), v_reset=np.zeros(shape)
    )


def leaky(shape, theta, *, decay=0.5, gain=1.0) -> nir.LIF:
    """LIF neurons with the given decay and gain."""
    tau = DT / (1.0 - decay)
    return nir.LIF(
        tau=np.full(shape, tau),
        r=np.full(shape, gain * tau / DT),
        v_leak=np.zeros(shape),
        v_threshold=np.full(shape, theta),
        v_reset=np.zeros(shape),
    )


def whole(rng, shape, peak) -> np.ndarray:
    """Whole weights of both signs whose largest is `peak`, few of them large."""
    small = min(peak, 9)
    weight = rng.integers(-small, small, shape, endpoint=True).astype(np.float64)
    weight.flat[0], weight.flat[-1] = peak, -peak
    return weight


def lattice_graph(*, bits=8, neuron=integrate, readout="membrane", seed=0) -> nir.NIRGraph:
    """Convolution, strided grouped convolution, dense, read-out; whole numbers on the chip."""
    rng, peak = np.random.default_rng(seed), 2 ** (bits - 1) - 1
    first, later = 170.0 * min(peak, 9), float(1 + min(peak, 9))
    parts = {
        "conv1": conv(whole(rng, (4, 2, 3, 3), peak), rng.integers(-9, 9, 4) * 30.0),
        "fire1": neuron((4, 6, 5), first / SCALE),
        "conv2": conv(
            whole(rng, (6, 2, 2, 3), peak), rng.integers(0, 4, 6), stride=(2, 1), groups=2
        ),
        "fire2": neuron((6, 4, 5), later / SCALE),
        "flat": flatten((6, 4, 5)),
        "dense": affine(whole(rng, (11, 120), peak), rng.integers(0, 3, 11)),
        "fire3": neuron((11,), later / SCALE),
        "last": affine(whole(rng, (CLASSES, 11), peak), rng.integers(-3, 9, CLASSES)),
    }
    if readout == "spikes":
        parts["fire4"] = neuron((CLASSES,), later / SCALE)
    for node in parts.values():
        if isinstance(node, nir.Conv2d | nir.Affine):
            node.weight, node.bias = node.weight / SCALE, np.asarray(node.bias) / SCALE
    return chain(parts, meta=meta_of(readout=readout))


def dense_graph() -> nir.NIRGraph:
    """A multi-layer perceptron: the first layer is dense on the flattened image."""
    rng = np.random.default_rng(0)
    nodes = {
        "flat": flatten(SHAPE),
        "dense": affine(whole(rng, (7, 60), 20)),
        "fire": integrate((7,), 900.0),
        "last": affine(whole(rng, (CLASSES, 7), 20)),
    }
    return chain(nodes)


def lattice_images(count, seed=0) -> np.ndarray:
    """Images uint8 `[N, C, H, W]` for a lattice graph."""
    draw = np.random.default_rng(seed)
    return draw.integers(0, 255, (count, *SHAPE), dtype=np.uint8, endpoint=True)


def deploy_lattice(folder: Path, *, samples=3, graph=None, **options) -> Path:
    """Deploys a graph, else a lattice graph; the bundle's folder, `model.nir` beside it."""
    write_nir(folder / "model.nir", graph or lattice_graph(**options))
    run(DeployConfig(golden=samples), folder / "model.nir", folder / "bundle")
    return folder / "bundle"


def random_network(config=DIGITS, *, seed=0) -> SpikingNetwork:
    """A network in which no parameter has its initial value and every layer fires."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SpikingNetwork(config)
        with torch.no_grad():
            for module in network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.running_mean.normal_(0, 0.3)  # type: ignore[union-attr]
                    module.running_var.uniform_(0.3, 2)  # type: ignore[union-attr]
                    module.bias.normal_(0.4, 0.4)
                elif isinstance(module, nn.Linear | nn.Conv2d):
                    module.weight.mul_(2)
    return network.eval()
