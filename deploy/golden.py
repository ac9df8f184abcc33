"""Golden vectors: what the deployed network must do on stated inputs, for any executor to check."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nir
import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from ..core.decision import predictions
from ..core.errors import FormatError, NotEqualError
from ..core.files import write_bytes
from ..sim.arrays import write_arrays
from ..sim.classifier import LEVELS, TwinClassifier
from ..sim.fixed_point import STATE_MAX
from ..sim.parity import back_to_back
from ..sim.program import Program
from ..sim.twin import Run
from .samples import sample_arrays


@dataclass(frozen=True, kw_only=True, eq=False)
class Golden:
    """Inputs and everything that they cause.

    Args:
        images: On the uint8 lattice; or stacks of frames.
        payload: What enters the chip: T maps a sample, or one that is held.
        logits: Of each sample.
        predictions: The classes.
        spikes: By population, `[T, N, *shape]`.
        rails: By population, how often v stood on its negative rail.
        dt: Time step of the network that was deployed, in the unit of its `tau`.
    """

    images: UInt8[np.ndarray, "N channels H W"]
    payload: Int[np.ndarray, "t N C H W"]
    logits: Float[np.ndarray, "N K"]
    predictions: Int[np.ndarray, " N"]
    spikes: dict[str, UInt8[np.ndarray, "T N *shape"]]
    rails: dict[str, int]
    dt: float = 1.0


def golden(
    program: Program, images: UInt8[np.ndarray, "N channels H W"], *, dt: float = 1.0
) -> Golden:
    """Runs the twin on samples and keeps what it did; `dt` is kept with it."""
    chip = TwinClassifier(program)
    x = torch.from_numpy(images).to(torch.float32) / LEVELS
    with torch.no_grad():
        run = chip.run(x, record=True)
        assert run.reading is not None
        logits = run.reading * chip.readout.scale
        payload = chip.payload(x)
    return Golden(
        images=images,
        payload=payload.to(torch.int32).numpy(),
        logits=logits.numpy(),
        predictions=predictions(logits).numpy(),
        spikes={name: s.to(torch.uint8).numpy() for name, s in run.spikes.items()},
        rails=_rails(run),
        dt=dt,
    )


def write_golden(folder: Path, program: Program, found: Golden) -> None:
    """Writes `golden.npz` and `golden.nir`.

    `golden.npz` has images or frames, logits and predictions, and the same samples back to back as
    a netx simulation takes them: `x`, `steps`, `reset_interval`, `reset_offset`,
    `input_message_bits`.
    """
    train, clock = back_to_back(program, found.payload)
    write_arrays(
        folder / "golden.npz",
        {
            **sample_arrays(program, found.images),
            "logits": found.logits,
            "predictions": found.predictions,
            "x": train,
            "steps": clock.steps,
            "reset_interval": clock.reset_interval,
            "reset_offset": clock.reset_offset,
            "input_message_bits": program.sources[0].message_bits,
            **{f"s{k}": found.spikes[p.name] for k, p in enumerate(program.populations)},
        },
    )
    # In memory, because HDF5 ends the whole process where it cannot write.
    buffer = io.BytesIO()
    nir.write_data(buffer, graph_data(program, found))  # type: ignore[arg-type]
    write_bytes(folder / "golden.nir", buffer.getvalue())


def graph_data(program: Program, found: Golden) -> nir.NIRGraphData:
    """Inputs, spikes and logits as NIR's own trace format, `[N, T, neurons]` in C order.

    Nodes are named as in the NIR file; relays, which it lacks, as in the program. The population
    that is read has an observable `logits`, one step as long as the whole run.
    """
    steps = program.encoding.steps if program.encoding else 1
    held = np.broadcast_to(found.payload, (steps, *found.payload.shape[1:]))
    payload = held.swapaxes(0, 1).reshape(held.shape[1], steps, -1)
    source = {"input": _gridded(payload.astype(np.int32), found.dt)}
    nodes: dict[str, nir.NIRGraphData | nir.NIRNodeData] = {
        program.sources[0].name: nir.NIRNodeData(observables=source)
    }
    for name, spikes in found.spikes.items():
        flat = spikes.transpose(1, 0, *range(2, spikes.ndim)).reshape(spikes.shape[1], steps, -1)
        observables = {"spikes": _gridded(flat.astype(bool), found.dt)}
        if program.readout and program.readout.population == name:
            observables["logits"] = _gridded(found.logits[:, None], found.dt * steps)
        nodes[name] = nir.NIRNodeData(observables=observables)
    return nir.NIRGraphData(nodes=nodes)


def require_trace(folder: Path, program: Program, golden: Mapping[str, np.ndarray]) -> int:
    """Compares `golden.nir`, read by nir itself, with `golden.npz`; returns its values.

    Raises:
        NotEqualError: Naming the node whose spikes or logits differ, or are missing.
        FormatError: If nir cannot read the file.
    """
    try:
        nodes, values = nir.read_data(str(folder / "golden.nir")).nodes, 0
    except (OSError, LookupError, ValueError, TypeError) as error:
        raise FormatError(
            f"expected golden.nir in {folder} to hold NIR data, got {error}; deploy again"
        ) from error
    expected = {
        (p.name, "spikes"): np.moveaxis(golden[f"s{k}"], 1, 0)
        for k, p in enumerate(program.populations)
    }
    if program.readout:
        expected[program.readout.population, "logits"] = golden["logits"][:, None]
    for (name, observable), value in expected.items():
        flat = value.reshape(*value.shape[:2], -1)
        node = nodes.get(name)
        data = node.observables.get(observable) if isinstance(node, nir.NIRNodeData) else None
        is_equal = isinstance(data, nir.TimeGriddedData) and np.array_equal(data.data, flat)
        if not is_equal:
            raise NotEqualError(
                f"expected {observable} of node {name!r} in golden.nir as in golden.npz, got "
                f"{'none' if data is None else 'others'}; deploy again"
            )
        values += flat.size
    return values


def _gridded(data: np.ndarray, dt: float) -> nir.TimeGriddedData | nir.EventData:
    return nir.TimeGriddedData(data=data, dt=dt)


def _rails(run: Run) -> dict[str, int]:
    return {name: int((r.h <= 1 - STATE_MAX).sum()) for name, r in run.registers.items()}
