"""Golden vectors: what the deployed network must do on stated inputs, for any executor to check."""

import io
from dataclasses import dataclass
from pathlib import Path

import nir
import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from ..core.decision import predictions
from ..core.files import write_bytes
from ..sim.arrays import write_arrays
from ..sim.classifier import LEVELS, TwinClassifier
from ..sim.fixed_point import STATE_MAX
from ..sim.parity import back_to_back
from ..sim.program import Program
from ..sim.twin import Run


@dataclass(frozen=True, kw_only=True, eq=False)
class Golden:
    """Inputs and everything that they cause.

    Args:
        images: On the uint8 lattice.
        payload: What enters the chip.
        logits: Of each image.
        predictions: The classes.
        spikes: By population, `[T, N, *shape]`.
        rails: By population, how often v stood on its negative rail.
    """

    images: UInt8[np.ndarray, "N C H W"]
    payload: Int[np.ndarray, "N C H W"]
    logits: Float[np.ndarray, "N K"]
    predictions: Int[np.ndarray, " N"]
    spikes: dict[str, UInt8[np.ndarray, "T N *shape"]]
    rails: dict[str, int]


def golden(program: Program, images: UInt8[np.ndarray, "N C H W"]) -> Golden:
    """Runs the twin on images and keeps what it did."""
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
    )


def write_golden(folder: Path, program: Program, found: Golden) -> None:
    """Writes `golden.npz` and `golden.nir`.

    `golden.npz` has images, logits and predictions, and the same samples back to back as a netx
    simulation takes them: `x`, `steps`, `reset_interval`, `reset_offset`, `input_message_bits`.
    """
    train, clock = back_to_back(program, found.payload)
    write_arrays(
        folder / "golden.npz",
        {
            "images": found.images.transpose(0, 2, 3, 1),
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
    """Inputs and spikes as NIR's own trace format, `[N, T, neurons]` in C order."""
    steps = program.encoding.steps if program.encoding else 1
    payload = np.repeat(found.payload.reshape(len(found.payload), 1, -1), steps, axis=1)
    nodes: dict[str, nir.NIRGraphData | nir.NIRNodeData] = {
        program.sources[0].name: _gridded("input", payload.astype(np.int32))
    }
    for name, spikes in found.spikes.items():
        flat = spikes.transpose(1, 0, *range(2, spikes.ndim)).reshape(spikes.shape[1], steps, -1)
        nodes[name] = _gridded("spikes", flat.astype(bool))
    return nir.NIRGraphData(nodes=nodes)


def _gridded(observable: str, data: np.ndarray) -> nir.NIRNodeData:
    return nir.NIRNodeData(observables={observable: nir.TimeGriddedData(data=data, dt=1.0)})


def _rails(run: Run) -> dict[str, int]:
    return {name: int((r.h <= 1 - STATE_MAX).sum()) for name, r in run.registers.items()}
