"""Any NIR graph, run in float: batched, differentiable, layer by layer."""

import copy
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ...core.errors import DataError, FormatError, UnsupportedNodeError
from ..gradients.estimators import ESTIMATORS, TRAINING, estimator
from ..gradients.surrogate import Surrogate
from ..gradients.whole_train import begin_pass
from ..neurons.neuron import integrate_and_fire
from .file import read_nir, unknown_node
from .layers import Layer, LinearLayer, NeuronLayer, Shape, Site, fires
from .linear import LINEAR
from .meta import NirMeta, read_meta
from .neurons import NEURONS
from .steps import run, run_loop
from .topology import (
    common_shape,
    groups_of,
    inlined,
    is_loop,
    linear_first,
    only,
    shape_of,
    shape_of_input,
    sources_of,
)

Values = Mapping[str, Float[Tensor, "..."]]
"""Trains `[T, N, *shape]` by node name; T is 1 where all steps are the same."""


class NirNetwork:
    """A NIR graph as a function of images or trains.

    Layers are computed one after the other, all T steps at once; only the nodes of a loop step by
    step (`steps.run_loop` says when their spikes return). Several edges into one node add up.
    A value that is the same at every step (a direct-coded image) has T = 1 until it reaches a node
    with a memory. Graphs among the nodes are inlined.

    Attributes:
        meta: How the graph is run.
        graph: Without graphs among its nodes.
        loops: Names of the nodes of each loop.
        input: Name of the input node.
        input_shape: Shape at the input node, without time and batch.
        spiking: Names of the neuron nodes, in order of computation.
    """

    name = "nir"

    def __init__(
        self,
        graph: nir.NIRGraph,
        meta: NirMeta,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.meta = meta
        self.dtype = dtype
        self.device = torch.device(device)
        self.graph = graph = inlined(graph)
        self.sources = sources_of(graph)
        self.input, self._output = only(graph, nir.Input), only(graph, nir.Output)
        self.input_shape = shape_of_input(self.input, graph)
        self._groups = groups_of(graph, self.sources)
        self.loops = tuple(g for g in self._groups if is_loop(g, self.sources))
        self.layers = self._build(graph)
        self._loop_order = {g: self._order(g) for g in self.loops}
        self.spiking = tuple(n for n, la in self.layers.items() if fires(la))
        self._estimator = estimator(TRAINING)
        self._check_readout(graph)
        self._check_classes()

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        **given: Any,
    ) -> "NirNetwork":
        """Reads a NIR file; `given` stands in for missing metadata, as in `read_meta`."""
        graph = read_nir(path)
        return cls(graph, read_meta(graph, **given), dtype=dtype, device=device)

    @property
    def estimators(self) -> tuple[str, ...]:
        """Names that `using` accepts: surrogates alone where neurons are computed step by step."""
        if not self._stepwise():
            return tuple(ESTIMATORS)
        return tuple(name for name, each in ESTIMATORS.items() if isinstance(each, Surrogate))

    def using(self, estimator_name: str) -> "NirNetwork":
        """The same network, forward equal to the last bit, with spikes differentiated otherwise.

        Raises:
            ConfigError: If there is no such estimator.
            UnsupportedNodeError: If it is no surrogate, and neurons are computed step by step.
        """
        other = copy.copy(self)
        other._estimator = estimator(estimator_name)
        if not isinstance(other._estimator, Surrogate) and (odd := self._stepwise()):
            raise UnsupportedNodeError(
                f"expected an estimator of single steps for node {odd[0]!r} "
                f"({type(self.graph.nodes[odd[0]]).__name__}), got {estimator_name!r}, which needs "
                "neurons with hard reset to 0 and no loop; choose a surrogate"
            )
        return other

    def __call__(
        self, images: Float[Tensor, "N *map"] | UInt8[Tensor, "N *map"]
    ) -> Float[Tensor, "N K"]:
        """Logits of images in [0, 1] or uint8, direct-coded.

        Raises:
            DataError: If the network takes frames, or images of another shape.
        """
        if self.meta.encoding != "direct":
            raise DataError(
                f"expected frames [T, N, ...] for encoding {self.meta.encoding!r}, got images; "
                "pass the train to `logits`"
            )
        return self.logits(self.encode(images))

    def encode(
        self, images: Float[Tensor, "N *map"] | UInt8[Tensor, "N *map"]
    ) -> Float[Tensor, "1 N *map"]:
        """Images as the train they mean: one step that stands for all."""
        return self.meta.payload(images).to(self.device, self.dtype).unsqueeze(0)

    def logits(self, train: Float[Tensor, "T N *axes"]) -> Float[Tensor, "N K"]:
        """Class scores of an encoded train: the output's mean, or its spike count.

        Args:
            train: What the input node receives; T is `meta.steps`, or 1 for a constant input.

        Raises:
            DataError: If the train has another shape.
        """
        return self.read_out({self.input: self._checked(train)})

    def read_out(self, given: Values) -> Float[Tensor, "N K"]:
        """Class scores as `logits`, computed from the outputs of the nodes `given`."""
        begin_pass(self._estimator)
        out = self.values(given, [self._output])[self._output]
        return READ[self.meta.readout](out).flatten(1)

    def run(self, train: Float[Tensor, "T N *axes"]) -> dict[str, Tensor]:
        """Spikes `[T, N, *shape]` of every neuron node, by name."""
        return self.values({self.input: self._checked(train)}, self.spiking)

    def values(self, given: Values, wanted: Collection[str]) -> dict[str, Tensor]:
        """Outputs of the nodes `wanted`, computed from those `given`.

        Nodes before a given one are not computed, so a layer can be run on a recorded input.

        Raises:
            DataError: If a node is unknown, or needs an input that is not given.
        """
        needed = self._needed(given, wanted)
        uses = Counter(
            source for group in needed for name in group for source in self.sources[name]
        )
        uses.update(wanted)
        alive = dict(given)
        for group in needed:
            alive |= self._compute_group(group, alive)
            for source in (source for name in group for source in self.sources[name]):
                uses[source] -= 1
                if not uses[source]:
                    alive.pop(source, None)
        return {name: alive[name] for name in wanted}

    def membrane_input(self, name: str, given: Values) -> Float[Tensor, "T N *axes"]:
        """Sum of the edges into the node `name`, computed from the nodes `given`, over all T."""
        sources = self.sources[name]
        values = self.values(given, sources)
        total = _sum([values[source] for source in sources])
        return total.expand(max(self.meta.steps, len(total)), *total.shape[1:])

    def _build(self, graph: nir.NIRGraph) -> dict[str, Layer | None]:
        """Layers in order of computation, None for the input and the output."""
        shapes: dict[str, Shape] = {}
        layers: dict[str, Layer | None] = {}
        for group in self._groups:
            waiting = list(group)
            while waiting:
                name = self._next(waiting, shapes)
                found = {s: shapes[s] for s in self.sources[name] if s in shapes}
                shape = common_shape(name, found) if found else self.input_shape
                layer = layers[name] = self._layer(name, graph.nodes[name], shape)
                shapes[name] = shape if layer is None else layer.shape
                waiting.remove(name)
            for name in group if is_loop(group, self.sources) else ():
                common_shape(name, {s: shapes[s] for s in self.sources[name]})
        return layers

    def _next(self, waiting: list[str], shapes: Mapping[str, Shape]) -> str:
        """A node whose input's shape is known; in a loop one source tells it."""
        whole = (n for n in waiting if all(s in shapes for s in self.sources[n]))
        partly = (n for n in waiting if any(s in shapes for s in self.sources[n]))
        found = next(whole, None) or next(partly, None)
        if found is None:
            raise FormatError(
                f"expected a path from the input to node {waiting[0]!r}, got a loop that nothing "
                "leads to; remove it"
            )
        return found

    def _layer(self, name: str, node: nir.NIRNode, shape: Shape) -> Layer | None:
        kind = type(node)
        site = Site(
            name=name,
            kind=kind.__name__,
            fields=vars(node),
            shape=shape,
            dt=self.meta.dt,
            dtype=self.dtype,
            device=self.device,
            reset=self.meta.reset,
            integration=self.meta.integration,
        )
        if kind is nir.Input:
            return None
        if kind is nir.Output:
            stated = shape_of(name, node.output_type["output"])
            # Some write the batch, and time, of the sample that they were given, too.
            ones = (1,) * (len(stated) - len(shape))
            if stated != (*ones, *shape):
                site.require_shape(stated, "Output")
            return None
        converter = LINEAR.get(kind) or NEURONS.get(kind)
        if converter is None:
            raise unknown_node(name, kind.__name__)
        if 0 in np.shape(getattr(node, "weight", 1)) or 0 in shape:
            raise FormatError(
                f"expected values at node {name!r} ({kind.__name__}), got none: weights of shape "
                f"{np.shape(getattr(node, 'weight', 1))} for an input {shape}; leave the node out"
            )
        return converter(site)

    def _order(self, group: tuple[str, ...]) -> list[str]:
        is_linear = {name: isinstance(self.layers[name], LinearLayer) for name in group}
        return linear_first(group, self.sources, is_linear)

    def _stepwise(self) -> list[str]:
        """Neurons that no multi-step kernel computes."""
        looped = {name for loop in self.loops for name in loop}
        return [
            name
            for name in self.spiking
            if name in looped or not isinstance(self.layers[name], NeuronLayer)
        ]

    def _compute_group(self, group: tuple[str, ...], alive: Values) -> dict[str, Tensor]:
        """Outputs of a group's nodes, those given aside."""
        if group not in self._loop_order:
            (name,) = group
            return {name: self._compute(name, _sum([alive[s] for s in self.sources[name]]))}
        layers = {name: la for name in group if (la := self.layers[name]) is not None}
        sources = {source for name in group for source in self.sources[name]}
        outside = {name: alive[name] for name in sources.difference(group)}
        return run_loop(
            self._loop_order[group],
            self.sources,
            layers,
            outside,
            steps=self.meta.steps,
            estimator=self._estimator,
        )

    def _compute(self, name: str, x: Tensor) -> Tensor:
        layer = self.layers[name]
        if layer is None:
            return x
        if isinstance(layer, LinearLayer):
            return layer.apply(x)
        x = x.expand(self.meta.steps, *x.shape[1:])
        if not isinstance(layer, NeuronLayer):
            return run(layer, x, self._estimator)
        x = x if isinstance(layer.gain, float) and layer.gain == 1 else x * layer.gain
        return integrate_and_fire(
            x, theta=layer.theta, decay=layer.decay, estimator=self._estimator
        )

    def _needed(self, given: Values, wanted: Collection[str]) -> list[tuple[str, ...]]:
        """Groups to compute for `wanted`, in order."""
        group_of = {name: group for group in self._groups for name in group}
        needed: set[tuple[str, ...]] = set()
        waiting = [name for name in wanted if name not in given]
        while waiting:
            name = waiting.pop()
            if not self.sources.get(name):
                raise DataError(
                    f"expected a value for node {name!r}, got only {sorted(given)}; give its output"
                )
            group = group_of[name]
            if group in needed:
                continue
            needed.add(group)
            before = {source for member in group for source in self.sources[member]}
            waiting += [s for s in before if s not in given and s not in group]
        return [group for group in self._groups if group in needed]

    def _checked(self, train: Tensor) -> Tensor:
        lengths = (self.meta.steps,) if self.meta.encoding == "frames" else (1, self.meta.steps)
        if train.ndim < 2 or train.shape[0] not in lengths or train.shape[2:] != self.input_shape:
            shape = " ".join(map(str, self.input_shape))
            raise DataError(
                f"expected a train [T N {shape}] with T in {lengths}, got {list(train.shape)}; "
                "resize the input or give another --steps"
            )
        return train.to(self.device, self.dtype)

    def _check_readout(self, graph: nir.NIRGraph) -> None:
        """Refuses a read-out that the nodes before the output cannot serve."""
        counts = self.meta.readout == "spikes"
        for source in self.sources[self._output]:
            if (source in self.spiking) != counts:
                kind = type(graph.nodes[source]).__name__
                linear = "a linear node or an integrator"
                raise UnsupportedNodeError(
                    f"expected {'neurons' if counts else linear} before the output for "
                    f"read-out {self.meta.readout!r}, got node {source!r} ({kind}); give "
                    f"--readout {'membrane' if counts else 'spikes'}"
                )

    def _check_classes(self) -> None:
        """Refuses names of classes that are not as many as logits."""
        source = self.layers[self.sources[self._output][0]]
        logits = math.prod(self.input_shape if source is None else source.shape)
        if len(self.meta.classes) not in (0, logits):
            raise FormatError(
                f"expected {logits} names in metadata 'classes', one for each logit, got "
                f"{len(self.meta.classes)}; correct the file's metadata"
            )


READ: dict[str, Callable[[Tensor], Tensor]] = {
    "membrane": lambda out: out.mean(0),
    "last": lambda out: out[-1],
    "spikes": lambda out: out.sum(0),
}
"""What becomes of the output's train, by read-out."""


def _sum(values: list[Tensor]) -> Tensor:
    """Sum of the edges into a node, in their stored order."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total
