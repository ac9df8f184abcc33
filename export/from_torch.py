"""Sequences of torch's layers and Norse's cells that we did not build, as NIR."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import torch
from jaxtyping import Float
from norse.torch.module.lift import Lift
from norse.torch.module.sequential import SequentialState
from norse.torch.module.snn import SNNCell
from torch import Tensor, nn

from ..core.decision import predictions
from ..core.errors import ConfigError, DataError, NotEqualError, UnsupportedNodeError
from ..core.files import atomic_path
from ..sim.graph.file import nir_bytes, read_nir
from ..sim.graph.meta import NirMeta, read_meta
from ..sim.graph.network import READ, NirNetwork
from .compare import LOGITS_EQUAL
from .graph import INPUT, OUTPUT, Graph, Node
from .layers import CONVERTERS, Converter, convert
from .norse_cells import CELLS, NorseCell, read_cell
from .passes import FOREIGN, apply
from .to_nir import write_graph

SEQUENCES = (nn.Sequential, SequentialState)
NOTHING = (nn.Identity, nn.Dropout, nn.Dropout2d)
"""Modules that do nothing in evaluation mode."""


@dataclass(frozen=True, kw_only=True)
class ModuleReport:
    """How the written file compares with the module, on `samples` samples.

    In float64 all spikes are equal and logits differ by at most `logit_difference`; `agreement` is
    the share of samples that the file in float32 puts in the same class; `rates` are spikes per
    neuron and step, by layer.
    """

    samples: int
    logit_difference: float
    agreement: float
    rates: dict[str, float]


def module_to_nir(
    module: nn.Sequential,
    *,
    input_shape: Sequence[int],
    steps: int,
    encoding: str = "direct",
    readout: str = "membrane",
    dt: float | None = None,
    classes: Sequence[str] = (),
) -> nir.NIRGraph:
    """The graph of what a sequence computes in evaluation mode, in float64 from its initial state.

    Norse's `SequentialState`, or a plain `Sequential` whose cells get a state of their own; both
    may nest, and `Lift` is looked into. Pools stay pools, batch norm is folded, dropout and
    identity go. Neurons that take trains (`LIF`) count as their cells.

    Args:
        module: On any device, in any mode; not changed.
        input_shape: Of one sample at one step.
        steps: T.
        encoding: `direct` shows the same input at every step, `frames` takes a train.
        readout: `membrane`, `last` or `spikes`, as `NirMeta`.
        dt: Time step; absent, that of its cells.
        classes: Names of the classes.

    Raises:
        UnsupportedNodeError: If a module, or a setting of it, cannot be kept exactly, or if the
            whole is no sequence.
        ConfigError: If its cells differ in their time step or their reset.
    """
    _check_sequence(module)
    leaves = list(_leaves(module))
    cells = {name: _cell(k, name, leaf) for k, (name, leaf) in enumerate(leaves) if _is_cell(leaf)}
    nodes: dict[str, Node] = {}
    for position, (name, leaf) in enumerate(leaves):
        table = CONVERTERS | _ours(cells, name)
        nodes[name] = convert(position, name, _unbatched(leaf, leaves), table)
    names = [INPUT, *nodes, OUTPUT]
    graph = Graph(nodes=nodes, edges=tuple(pairwise(names)), input_shape=tuple(input_shape))
    graph, _ = apply(graph, FOREIGN)
    meta = NirMeta(
        dt=_shared_dt(cells, dt),
        steps=steps,
        encoding=encoding,
        readout=readout,
        reset=_shared_reset(cells),
        classes=tuple(classes),
    )
    return write_graph(graph, meta)


@torch.no_grad()
def export_module(
    module: nn.Sequential, out: Path, *, inputs: Float[Tensor, "T N *axes"], **options: Any
) -> ModuleReport:
    """Writes a sequence as a NIR file, verified by reading it back.

    Args:
        module: As of `module_to_nir`.
        out: Written whole or not at all.
        inputs: Trains to compare on; one step stands for all where the encoding is direct.
        **options: Those of `module_to_nir`, the input's shape aside.

    Raises:
        NotEqualError: If the file computes something else than the module; nothing is written.
        DataError: If `inputs` hold NaN, or are no trains of so many steps.
    """
    graph = module_to_nir(module, input_shape=inputs.shape[2:], **options)
    with atomic_path(out) as temporary:
        temporary.write_bytes(nir_bytes(graph))
        return compare_module(module, read_nir(temporary), inputs)


@torch.no_grad()
def compare_module(
    module: nn.Sequential, graph: nir.NIRGraph, inputs: Float[Tensor, "T N *axes"]
) -> ModuleReport:
    """Compares a graph with the sequence that it was made from, layer by layer.

    Raises:
        NotEqualError: If a spike in float64 differs, or logits by more than 1e-9.
        DataError: If `inputs` hold NaN, or are no trains of so many steps.
    """
    meta = read_meta(graph)
    _check_inputs(inputs, meta)
    double = NirNetwork(graph, meta, dtype=torch.float64)
    single = NirNetwork(graph, meta, dtype=torch.float32)
    train = inputs.double().expand(meta.steps, *inputs.shape[1:])
    outputs = dict(run_module(module, train))
    spikes = double.run(train)
    for name, found in spikes.items():
        differing = int((found != outputs[name]).sum())
        if differing:
            raise NotEqualError(
                f"expected the spikes of layer {name!r} in float64 as in the module, got "
                f"{differing} of {found.numel()} that differ; the graph computes something else"
            )
    expected = READ[meta.readout](list(outputs.values())[-1]).flatten(1)
    difference = float((expected - double.logits(train)).abs().max())
    if not difference <= LOGITS_EQUAL:
        raise NotEqualError(
            f"expected logits in float64 within {LOGITS_EQUAL:g} of the module's, got a difference "
            f"of {difference:g}; the graph computes something else"
        )
    same = predictions(single.logits(train.float())) == predictions(expected)
    return ModuleReport(
        samples=inputs.shape[1],
        logit_difference=difference,
        agreement=float(same.double().mean()),
        rates={name: float(found.mean()) for name, found in spikes.items()},
    )


def _check_inputs(inputs: Float[Tensor, "T N *axes"], meta: NirMeta) -> None:
    steps = (meta.steps,) if meta.encoding == "frames" else (1, meta.steps)
    if inputs.shape[0] not in steps or not inputs.shape[1] or not inputs.isfinite().all():
        raise DataError(
            f"expected finite trains [T, N, ...] of T in {steps} steps, got {list(inputs.shape)}, "
            f"{int((~inputs.isfinite()).sum())} of them not finite; pass samples of the data"
        )


def run_module(
    module: nn.Sequential, train: Float[Tensor, "T N *axes"]
) -> Iterator[tuple[str, Tensor]]:
    """Name and train of each layer, computed in float64 by the modules' own step functions."""
    leaves = list(_leaves(copy.deepcopy(module).cpu().double().eval()))
    x = train.double()
    for name, leaf in leaves:
        if not _is_cell(leaf):
            layer = _unbatched(leaf, leaves)
            x = layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        else:
            x = _run_cell(leaf, x)
        yield name, x


def _run_cell(cell: nn.Module, x: Tensor) -> Tensor:
    """A cell from its initial state on; its parameters are no torch parameters."""
    values = cell.p._asdict()  # type: ignore[union-attr, operator]
    as_double = {k: v.detach().double() for k, v in values.items() if isinstance(v, Tensor)}
    cell.p = cell.p._replace(**as_double)  # type: ignore[union-attr, operator]
    if not isinstance(cell, SNNCell):
        return cell(x)[0]
    state, found = None, []
    for now in x:
        out, state = cell(now, state)
        found.append(out)
    return torch.stack(found)


def _check_sequence(module: nn.Module) -> None:
    """Refuses a module whose own forward may do more than one of its children after the other."""
    if type(module).forward not in [kind.forward for kind in SEQUENCES]:
        known = " or ".join(kind.__name__ for kind in SEQUENCES)
        raise UnsupportedNodeError(
            f"expected a {known} that runs its layers in order, got {type(module).__name__} with a "
            "forward of its own; put its layers into one"
        )


def _leaves(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Modules in order of computation, by name; what does nothing is left out."""
    # not named_children, which gives a module once that stands in several places
    for name, child in module._modules.items():
        assert child is not None
        if type(child) in SEQUENCES:
            yield from _leaves(child, f"{prefix}{name}.")
        elif not isinstance(child, NOTHING):
            yield prefix + name, child.lifted_module if isinstance(child, Lift) else child


def _is_cell(leaf: nn.Module) -> bool:
    return type(leaf) in CELLS


def _unbatched(leaf: nn.Module, leaves: list[tuple[str, nn.Module]]) -> nn.Module:
    """A flatten that counts axes with time, among neurons that take trains, as one without."""
    takes_trains = any(_is_cell(m) and not isinstance(m, SNNCell) for _, m in leaves)
    if isinstance(leaf, nn.Flatten) and takes_trains and leaf.start_dim == 2:
        return nn.Flatten(1, leaf.end_dim)
    return leaf


def _cell(position: int, name: str, leaf: nn.Module) -> NorseCell:
    found = read_cell(leaf)
    if isinstance(found, str):
        raise UnsupportedNodeError(
            f"expected layer {position} ({name!r}) to be {found}, got {leaf!r}; change the layer"
        )
    return found


def _ours(cells: dict[str, NorseCell], name: str) -> dict[type[nn.Module], Converter]:
    """Norse's cells in the table of converters; the one called `name` is converted already."""
    found = cells.get(name)
    return dict.fromkeys(CELLS, lambda _: found.cell if found else "a cell")


def _shared_dt(cells: dict[str, NorseCell], given: float | None) -> float:
    found = {each.dt for each in cells.values()}
    if given is None and len(found) != 1:
        raise ConfigError(
            f"expected cells of one time step, got {sorted(found)}; give them the same dt, or say "
            "which with dt where there are none"
        )
    if given is not None and found - {given}:
        raise ConfigError(
            f"expected dt {sorted(found)} as the cells say, got {given}; leave it out"
        )
    return given if given is not None else found.pop()


def _shared_reset(cells: dict[str, NorseCell]) -> str:
    """The reset of all neurons: to 0, to their own values, or by subtraction."""
    found = {each.reset for each in cells.values() if each.reset is not None}
    if len(found) > 1:
        names = {each.reset: name for name, each in cells.items() if each.reset is not None}
        raise ConfigError(
            f"expected one reset for all cells, got {names}; give them the same reset_method"
        )
    if found == {"subtract"}:
        return "subtract"
    levels = (each.cell.parameters.get("v_reset") for each in cells.values())
    return "value" if any(v is not None and v.any() for v in levels) else "zero"
