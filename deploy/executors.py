"""Running a whole network on images or frames: its float graph, the twin, or Lava."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from ..core.axes import images_to_maps, lava_to_train
from ..core.decision import predictions
from ..core.errors import ConfigError, DataError
from ..sim.arrays import read_arrays
from ..sim.classifier import LEVELS, TwinClassifier
from ..sim.lava import run_lava
from ..sim.nir_graph import NirNetwork
from ..sim.parity import lava_request
from ..sim.program import Program
from ..sim.twin import Observer
from .bundle import Bundle


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


def read_samples(path: Path) -> dict[str, np.ndarray]:
    """Reads `images` uint8 `[N, H, W, C]` or `frames` `[T, N, C, H, W]`.

    Raises:
        DataError: If neither or both are there, or the type or shape is wrong.
    """
    arrays = read_arrays(path)
    if "images" in arrays and "frames" in arrays:
        raise DataError(f"expected images or frames in {path}, got both; leave one of them out")
    if "images" in arrays:
        images = arrays["images"]
        if images.dtype != np.uint8 or images.ndim != 4 or images.size == 0:
            raise DataError(
                f"expected images uint8 [N, H, W, C] in {path}, got {images.dtype} "
                f"{list(images.shape)}; convert them"
            )
        return {"images": images_to_maps(images)}
    if "frames" not in arrays:
        raise DataError(
            f"expected images or frames in {path}, got {', '.join(arrays) or 'nothing'}; name the "
            f"array"
        )
    frames = arrays["frames"]
    if frames.dtype.kind not in "iuf" or frames.ndim != 5 or not np.isfinite(frames).all():
        raise DataError(
            f"expected finite frames [T, N, C, H, W] in {path}, got {frames.dtype} "
            f"{list(frames.shape)}; convert them"
        )
    return {"frames": frames}


def run_float(network: NirNetwork, samples: dict[str, np.ndarray]) -> Executed:
    """Runs a float graph."""
    with torch.no_grad():
        train = (
            network.encode(torch.from_numpy(samples["images"]))
            if "images" in samples
            else torch.from_numpy(samples["frames"])
        )
        logits = network.logits(train)
        spikes = network.run(train)
    return Executed(
        logits=logits.cpu().numpy(),
        predictions=predictions(logits).cpu().numpy(),
        spikes={name: s.to(torch.uint8).cpu().numpy() for name, s in spikes.items()},
    )


def run_twin(
    program: Program,
    images: UInt8[np.ndarray, "N C H W"],
    device: str = "cpu",
    *,
    observe: Observer | None = None,
) -> Executed:
    """Runs a deployed network's integers on the twin; `observe` is shown the recorded run."""
    chip = TwinClassifier(program, device=device)
    _check_images(program, images)
    with torch.no_grad():
        unit = _unit(images).to(device)
        run = chip.run(unit, record=observe is not None)
        if observe is not None:
            observe(program, run, {chip.source.name: chip.payload(unit)[None]})
    assert run.reading is not None
    logits = run.reading * chip.readout.scale
    return Executed(
        logits=logits.cpu().numpy(),
        predictions=predictions(logits).cpu().numpy(),
        spikes={name: s.to(torch.uint8).cpu().numpy() for name, s in run.spikes.items()},
    )


def run_on_lava(
    bundle: Bundle, images: UInt8[np.ndarray, "N C H W"], *, timeout: float = 3600.0
) -> Executed:
    """Runs the deployed network on Lava, the samples back to back.

    Lava loads the `.net` file; of a program that branches, its processes are built directly.
    """
    program = bundle.program
    _check_images(program, images)
    chip = TwinClassifier(program)
    payload = chip.payload(_unit(images)).to(torch.int32).numpy()
    request, clock = lava_request(program, bundle.network, payload)
    found = run_lava(request, timeout=timeout)

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


def require_images(samples: dict[str, np.ndarray]) -> np.ndarray:
    """The images among the samples.

    Raises:
        ConfigError: If there are frames instead.
    """
    if "images" not in samples:
        raise ConfigError("expected images for a bundle, got frames; bundles take images")
    return samples["images"]


def _check_images(program: Program, images: np.ndarray) -> None:
    shape = program.sources[0].shape
    if tuple(images.shape[1:]) != shape:
        raise DataError(
            f"expected images of shape (C, H, W) = {shape}, got {tuple(images.shape[1:])}; pass "
            "the data that the network was trained on"
        )


def _unit(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).to(torch.float32) / LEVELS
