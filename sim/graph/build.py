"""NIR's nodes made ready to run, in order of computation, their shapes followed from the input."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import nir
import numpy as np
import torch

from ...core.errors import FormatError
from .file import unknown_node
from .layers import Layer, Shape, Site
from .linear import LINEAR
from .meta import NirMeta
from .neurons import NEURONS
from .topology import common_shape, is_loop, shape_of

Sources = Mapping[str, tuple[str, ...]]
"""Who feeds each node."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How a graph is run, in which precision, and where."""

    meta: NirMeta
    dtype: torch.dtype
    device: torch.device


def build_layers(
    graph: nir.NIRGraph,
    groups: Sequence[tuple[str, ...]],
    sources: Sources,
    input_shape: Shape,
    *,
    at: Setting,
) -> dict[str, Layer | None]:
    """Layers in order of computation, None for the input and the output.

    Args:
        graph: Without graphs among its nodes.
        groups: Its nodes in order; those of a loop together.
        sources: As of `topology.sources_of`.
        input_shape: Shape at the input node, without time and batch.
        at: How it is run.

    Raises:
        FormatError: If shapes do not fit together, or a field is damaged.
        UnsupportedNodeError: If a node, or a setting of it, cannot be run exactly.
    """
    shapes: dict[str, Shape] = {}
    layers: dict[str, Layer | None] = {}
    for group in groups:
        waiting = list(group)
        while waiting:
            name = _next(waiting, sources, shapes)
            found = {s: shapes[s] for s in sources[name] if s in shapes}
            shape = common_shape(name, found) if found else input_shape
            layer = layers[name] = _layer(name, graph.nodes[name], shape, at)
            shapes[name] = shape if layer is None else layer.shape
            waiting.remove(name)
        for name in group if is_loop(group, sources) else ():
            common_shape(name, {s: shapes[s] for s in sources[name]})
    return layers


def _next(waiting: list[str], sources: Sources, shapes: Mapping[str, Shape]) -> str:
    """A node whose input's shape is known; in a loop one source tells it."""
    whole = (n for n in waiting if all(s in shapes for s in sources[n]))
    partly = (n for n in waiting if any(s in shapes for s in sources[n]))
    found = next(whole, None) or next(partly, None)
    if found is None:
        raise FormatError(
            f"expected a path from the input to node {waiting[0]!r}, got a loop that nothing "
            "leads to; remove it"
        )
    return found


def _layer(name: str, node: nir.NIRNode, shape: Shape, at: Setting) -> Layer | None:
    kind = type(node)
    site = Site(
        name=name,
        kind=kind.__name__,
        fields=vars(node),
        shape=shape,
        dt=at.meta.dt,
        dtype=at.dtype,
        device=at.device,
        reset=at.meta.reset,
        integration=at.meta.integration,
    )
    if kind is nir.Input:
        return None
    if kind is nir.Output:
        _check_output(site, shape_of(name, node.output_type["output"]))
        return None
    converter = LINEAR.get(kind) or NEURONS.get(kind)
    if converter is None:
        raise unknown_node(name, kind.__name__)
    _check_values(site)
    return converter(site)


def _check_output(site: Site, stated: Shape) -> None:
    """Refuses another shape; some state the batch, and time, of the sample they were given, too."""
    ones = (1,) * (len(stated) - len(site.shape))
    if stated != (*ones, *site.shape):
        site.require_shape(stated, "Output")


def _check_values(site: Site) -> None:
    weight = np.shape(site.fields.get("weight", 1))
    if 0 in (*weight, *site.shape):
        raise FormatError(
            f"expected values at node {site.name!r} ({site.kind}), got none: weights of shape "
            f"{weight} for an input {site.shape}; leave the node out"
        )
