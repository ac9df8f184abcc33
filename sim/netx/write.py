"""Programs as `.net` files that lava-dl's netx loads, checked by reading them back."""

import io
from pathlib import Path

import h5py
import numpy as np

from ...core.axes import map_to_lava
from ...core.errors import NotEqualError, UnsupportedNodeError
from ...core.files import atomic_path
from ..per_neuron import PerNeuron, simplest
from ..program import Population, Program, Synapse
from .network import read_netx


def write_netx(path: Path, program: Program) -> None:
    """Writes a chain of populations, each fed by one synapse, as a `.net` file.

    Raises:
        UnsupportedNodeError: If the program is no such chain.
        NotEqualError: If Lava would make something else of the file than the program says (a dense
            matrix of one sign, for instance); nothing is written then.
    """
    chain = _chain(program)
    # In memory, because HDF5 ends the whole process where it cannot write.
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        layers: list[h5py.Group] = []
        source = program.sources[0]
        _open_layer(file, layers, "input", source.shape)
        shape = source.shape
        for population, synapse in chain:
            if not synapse.is_conv and len(shape) == 3:
                _open_layer(file, layers, "flatten", shape)
            layer = _open_layer(
                file, layers, "conv" if synapse.is_conv else "dense", population.shape
            )
            _write_synapse(layer, synapse)
            _write_neurons(layer, population)
            shape = population.shape
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())
        _check(temporary, program, path)


def why_not_netx(program: Program) -> str:
    """What of a program no `.net` file can hold; empty where one can hold it all."""
    before = [program.sources[0].name if len(program.sources) == 1 else None]
    before += [population.name for population in program.populations]
    fed = {p.name: [s.source for s in program.into(p.name)] for p in program.populations}
    astray = [name for name, source in zip(fed, before, strict=False) if fed[name] != [source]]
    if not astray:
        return ""
    name = next((name for name in astray if len(fed[name]) != 1), astray[0])
    return f"population {name!r} fed by {fed[name]}; netx has no branches"


def _chain(program: Program) -> list[tuple[Population, Synapse]]:
    """Populations in order, each with the one synapse that feeds it from the one before."""
    branch = why_not_netx(program)
    if branch:
        raise UnsupportedNodeError(f"expected a chain of layers for a .net file, got {branch}")
    return [(p, program.into(p.name)[0]) for p in program.populations]


def _open_layer(
    file: h5py.File, layers: list[h5py.Group], kind: str, shape: tuple[int, ...]
) -> h5py.Group:
    layer = file.create_group(f"layer/{len(layers)}")
    layers.append(layer)
    layer["type"] = np.array([kind.encode("ascii")])
    layer["shape"] = np.array(shape, dtype=np.int64)
    return layer


def _write_synapse(layer: h5py.Group, synapse: Synapse) -> None:
    layer["weight"] = synapse.weight.astype(np.int32)
    if synapse.is_conv:
        for key in ("stride", "padding", "dilation"):
            layer[key] = np.array(getattr(synapse, key), dtype=np.int64)
        layer["groups"] = np.int64(synapse.groups)
    if isinstance(synapse.delay, np.ndarray) or synapse.delay:
        layer["delay"] = np.asarray(synapse.delay, dtype=np.int64)


def _write_neurons(layer: h5py.Group, population: Population) -> None:
    for key, value in (
        ("iDecay", population.du),
        ("vDecay", population.dv),
        ("vThMant", population.vth),
        ("refDelay", 1),
    ):
        layer[f"neuron/{key}"] = _stated(value, population).astype(np.int64)
    layer["neuron/type"] = np.array([b"CUBA"])
    if population.bias is not None:
        layer["bias"] = _by_channel(population.bias, population).astype(np.int32)


def _stated(value: PerNeuron, population: Population) -> np.ndarray:
    """One number where all neurons share it, else as `_by_channel`."""
    value = simplest(np.asarray(value))
    return np.asarray(value) if isinstance(value, int) else _by_channel(value, population)


def _by_channel(value: np.ndarray, population: Population) -> np.ndarray:
    """One a channel where its neurons share it, else one a neuron in Lava's (W, H, C)."""
    full = np.broadcast_to(value, population.shape)
    by_channel = full.reshape(population.shape[0], -1)
    shared = (by_channel == by_channel[:, :1]).all()
    return by_channel[:, 0] if shared else map_to_lava(full)


def _check(written: Path, program: Program, path: Path) -> None:
    """Reads the file as Lava would and compares every number that acts."""
    source = program.sources[0]
    network = read_netx(
        written, message_bits=source.message_bits, payload=(source.low, source.high)
    )
    if network.warnings:
        raise NotEqualError(network.warnings[0].replace(str(written), str(path)))
    for ours, theirs in zip(program.populations, network.program.populations, strict=True):
        (sent,), (read,) = program.into(ours.name), network.program.into(theirs.name)
        if _acts(ours, sent) != _acts(theirs, read):
            raise NotEqualError(
                f"expected population {ours.name!r} to read back from {path} as written, got other "
                f"numbers; report this"
            )


def _acts(population: Population, synapse: Synapse) -> tuple[object, ...]:
    bias = 0 if population.bias is None else population.bias
    stated = (population.du, population.dv, population.vth, bias)
    delay = np.broadcast_to(np.asarray(synapse.delay), synapse.weight.shape[:2]).astype(np.int64)
    return (
        population.shape,
        population.phase,
        *(np.broadcast_to(x, population.shape).astype(np.int64).tobytes() for x in stated),
        synapse.weight.astype(np.int64).tobytes(),
        synapse.shift,
        delay.tobytes(),
        synapse.geometry if synapse.is_conv else {},
    )
