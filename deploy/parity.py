"""Which inputs a bundle is compared with Lava on, and the comparison itself."""

import numpy as np
import torch
from jaxtyping import UInt8

from ..core.errors import ConfigError, DataError
from ..core.progress import SILENT, Tracker
from ..core.randomness import generator
from ..sim.classifier import LEVELS, TwinClassifier
from ..sim.parity import ParityReport, compare
from .bundle import Bundle
from .samples import lattice_noise, lattice_samples, read_samples


def parity_images(
    bundle: Bundle, *, samples: int, seed: int
) -> UInt8[np.ndarray, "N channels H W"]:
    """The bundle's golden images or frames, then noise on the lattice, `samples` in all."""
    if samples < 1:
        raise ConfigError(f"expected at least 1 sample, got {samples}; ask for more")
    program = bundle.program
    golden = lattice_samples(program, read_samples(bundle.path / "golden.npz"))[:samples]
    noise = lattice_noise(program, samples - len(golden), generator(seed, "parity"))
    return np.concatenate([golden, noise])


def check_parity(
    bundle: Bundle,
    images: UInt8[np.ndarray, "N channels H W"],
    *,
    timeout: float = 3600.0,
    tracker: Tracker = SILENT,
) -> ParityReport:
    """Compares twin and Lava on images: every spike, u and v.

    Raises:
        DataError: If the images do not fit.
        MissingAbilityError: If Lava is not installed.
        OracleError: If Lava fails or hangs.
    """
    shape = bundle.program.sample_shape
    if tuple(images.shape[1:]) != shape or images.dtype != np.uint8:
        raise DataError(
            f"expected uint8 images of shape {shape}, got {images.dtype} {list(images.shape)}; "
            f"pass the data that the network was trained on"
        )
    chip = TwinClassifier(bundle.program)
    payload = chip.payload(torch.from_numpy(images).to(torch.float32) / LEVELS)
    return compare(
        bundle.program,
        bundle.network,
        payload.to(torch.int32).numpy(),
        timeout=timeout,
        tracker=tracker,
    )
