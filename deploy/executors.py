"""Running a whole network on images or frames: its float graph, the twin, or Lava."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from ..core.axes import lava_to_train
from ..core.decision import predictions
from ..core.errors import DataError
from ..core.progress import SILENT, Task, Tracker
from ..sim.classifier import LEVELS, TwinClassifier
from ..sim.graph.network import NirNetwork
from ..sim.oracle.run import run_lava
from ..sim.parity import lava_request
from ..sim.program import Program
from ..sim.twin import Observer
from .bundle import Bundle

BATCH = 64
"""Samples that are run at once: their spikes stay in memory as bytes, not as floats."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Executed:
    """What a network did.

    Args:
        logits: Class scores.
        predictions: The classes.
        spikes: By layer in order of computation, `[T, N, *shape]`.
    """

    logits: Float[np.ndarray, "N K"]
    predictions: Int[np.ndarray, " N"]
    spikes: dict[str, UInt8[np.ndarray, "T N *shape"]]

    def arrays(self) -> dict[str, np.ndarray]:
        """As an npz file holds them: `s{k}` by layer, with the layers' names."""
        named = {f"s{k}": s for k, s in enumerate(self.spikes.values())}
        return {
            "logits": self.logits,
            "predictions": self.predictions,
            "layers": np.array(list(self.spikes)),
            **named,
        }


def run_float(
    network: NirNetwork, samples: dict[str, np.ndarray], *, tracker: Tracker = SILENT
) -> Executed:
    """Runs a float graph; the tracker is advanced by samples."""

    def run(train: torch.Tensor) -> Executed:
        return _executed(network.logits(train), network.run(train))

    with torch.no_grad():
        train = (
            network.encode(torch.from_numpy(samples["images"]))
            if "images" in samples
            else torch.from_numpy(samples["frames"]).to(network.dtype)
        )
        with tracker.task("float", train.shape[1]) as task:
            return _in_batches(run, train, axis=1, size=BATCH, task=task)


def run_twin(
    program: Program,
    images: UInt8[np.ndarray, "N channels H W"],
    device: str = "cpu",
    *,
    observe: Observer | None = None,
    tracker: Tracker = SILENT,
) -> Executed:
    """Runs a deployed network's integers on the twin, a batch at a time.

    Args:
        program: The network.
        images: What it is shown: images, or stacks of frames.
        device: Where.
        observe: Is shown the recorded run, which is then one of all images at once.
        tracker: Advanced by images.
    """
    chip = TwinClassifier(program, device=device)
    _check_images(program, images)

    def run(unit: torch.Tensor) -> Executed:
        done = chip.run(unit.to(device), record=observe is not None)
        if observe is not None:
            observe(program, done, {chip.source.name: chip.payload(unit.to(device))})
        assert done.reading is not None
        return _executed(done.reading * chip.readout.scale, done.spikes)

    size = BATCH if observe is None else len(images)
    with torch.no_grad(), tracker.task("twin", len(images)) as task:
        return _in_batches(run, _unit(images), axis=0, size=size, task=task)


def run_on_lava(
    bundle: Bundle,
    images: UInt8[np.ndarray, "N channels H W"],
    *,
    timeout: float = 3600.0,
    tracker: Tracker = SILENT,
) -> Executed:
    """Runs the deployed network on Lava, the samples back to back.

    Lava loads the `.net` file; of a program that branches, its processes are built directly.
    """
    program = bundle.program
    _check_images(program, images)
    chip = TwinClassifier(program)
    payload = chip.payload(_unit(images)).to(torch.int32).numpy()
    request, clock = lava_request(program, bundle.network, payload)
    found = run_lava(request, timeout=timeout, tracker=tracker)

    def windows(quantity: str, index: int) -> np.ndarray:
        trace, phase = lava_to_train(found[f"{quantity}{index}"]), program.populations[index].phase
        return np.stack([trace[clock.window(phase, n)] for n in range(len(images))], axis=1)

    names = [p.name for p in program.populations]
    read = names.index(chip.readout.population)
    reading = READINGS[chip.readout.kind](windows, read)
    logits = torch.from_numpy(reading).to(torch.float32) * chip.readout.scale
    return Executed(
        logits=logits.numpy(),
        predictions=predictions(logits).numpy(),
        spikes={name: windows("s", k).astype(np.uint8) for k, name in enumerate(names)},
    )


Windows = Callable[[str, int], np.ndarray]
READINGS: dict[str, Callable[[Windows, int], np.ndarray]] = {
    "membrane": lambda windows, k: windows("v", k)[-1].astype(np.float64) / 64,
    "sum": lambda windows, k: windows("v", k).astype(np.int64).sum(axis=0) / 64,
    "spikes": lambda windows, k: windows("s", k).astype(np.int64).sum(axis=0).astype(np.float64),
}
"""How Lava's registers become a reading, by kind of read-out."""


def load_float(path: Path, given: dict[str, Any], device: str = "cpu") -> NirNetwork:
    """A NIR file as a float network in double precision."""
    return NirNetwork.load(path, dtype=torch.float64, device=device, **given)


def _in_batches(
    run: Callable[[torch.Tensor], Executed],
    samples: torch.Tensor,
    *,
    axis: int,
    size: int,
    task: Task,
) -> Executed:
    parts: list[Executed] = []
    for batch in samples.split(max(size, 1), dim=axis):
        parts.append(run(batch))
        task.advance(batch.shape[axis])
    return Executed(
        logits=np.concatenate([part.logits for part in parts]),
        predictions=np.concatenate([part.predictions for part in parts]),
        spikes={
            name: np.concatenate([part.spikes[name] for part in parts], axis=1)
            for name in parts[0].spikes
        },
    )


def _executed(logits: torch.Tensor, spikes: Mapping[str, torch.Tensor]) -> Executed:
    return Executed(
        logits=logits.cpu().numpy(),
        predictions=predictions(logits).cpu().numpy(),
        spikes={name: s.to(torch.uint8).cpu().numpy() for name, s in spikes.items()},
    )


def _check_images(program: Program, images: np.ndarray) -> None:
    shape = program.sample_shape
    if tuple(images.shape[1:]) != shape:
        raise DataError(
            f"expected images of shape (C, H, W) = {shape}, got {tuple(images.shape[1:])}; pass "
            "the data that the network was trained on"
        )


def _unit(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).to(torch.float32) / LEVELS
