"""Deployment: a NIR file becomes integers, a chip report and a sealed bundle."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8

from ..core.errors import ConfigError, DataError
from ..core.files import atomic_folder, sha256
from ..core.progress import SILENT, Tracker
from ..core.randomness import generator
from ..datasets.frames import POLARITIES, FrameConfig
from ..export.c99.build import c99_files
from ..export.c99.generate import sizes
from ..export.integer_sums import Sums
from ..export.onnx_scope import require_onnx
from ..export.to_onnx import checked_onnx
from ..sim.classifier import LEVELS
from ..sim.graph.file import read_nir
from ..sim.graph.meta import InputFrames, read_meta
from ..sim.graph.network import NirNetwork
from ..sim.program import Program
from ..train.config import TrainConfig
from .bundle import ONNX, SUMS, write_bundle
from .certify import Certificate, certify, require
from .chip import chip_report
from .chip_file import Chip, chip_named
from .constant import carry_biases
from .finetune import Tuning, finetune, summary
from .fit import fit, require_fit
from .float_network import FloatNetwork
from .golden import Golden, golden
from .licences import licences
from .lower import lower
from .quantize import Precision, quantize
from .samples import lattice_noise
from .scale import Search, SearchConfig, search_scales


@dataclass(frozen=True, kw_only=True)
class DeployConfig:
    """How a network is put on a chip.

    Args:
        chip: Name of the chip.
        bits: Of a weight, sign included.
        seed: Of the scale search and of random golden images.
        golden: How many golden samples the bundle holds.
        search: The scale search, used where calibration images are given.
        allow_approximation: Whether neurons may differ from what the file says; what does is
            listed in the chip report.
        onnx: How `model.onnx` sums, `integer` or `float32`; None for no such file.
        c99: Whether to write the integers as C, too.
        require_fit: Whether to refuse what does not fit the chip.
        layer_bits: Bits of single layers, by name; `first` and `last` name them by place.
        finetune: How weights and biases are trained on the chip itself; None for not at all.
        constant_channel: Whether biases that the chip's field cannot hold may arrive from a
            constant input channel.
    """

    chip: str = "loihi2"
    bits: int = 8
    seed: int = 0
    golden: int = 16
    search: SearchConfig = field(default_factory=SearchConfig)
    allow_approximation: bool = False
    onnx: Sums | None = None
    c99: bool = False
    require_fit: bool = False
    layer_bits: dict[str, int] = field(default_factory=dict)
    finetune: TrainConfig | None = None
    constant_channel: bool = True

    def __post_init__(self) -> None:
        if self.golden < 1:
            raise ConfigError(f"expected at least 1 golden sample, got {self.golden}; ask for more")


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """Held-out training samples: scales are searched on them, golden vectors are taken from them.

    Args:
        images: On the uint8 lattice; or stacks of frames.
        labels: Their classes.
        source: Where they come from, for the manifest.
        kind: Of their data SPEC, for the licence; empty where it is none.
    """

    images: UInt8[np.ndarray, "N channels H W"]
    labels: Int64[np.ndarray, " N"]
    source: str
    kind: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Integers:
    """A float network and what it became.

    Args:
        network: As it was read.
        program: Its integers.
        scales: S of every layer.
        certificates: Bounds of every layer; all hold.
        search: How the scales were found; None where each is the one that just fits.
        finetuning: What was done to train it on the chip itself; None for nothing.
    """

    network: FloatNetwork
    program: Program
    scales: dict[str, float]
    certificates: tuple[Certificate, ...]
    search: Search | None
    finetuning: dict[str, Any] | None = None


def run(
    config: DeployConfig,
    nir_file: Path,
    out: Path,
    *,
    given: dict[str, Any] | None = None,
    calibration: Calibration | None = None,
    tuning: Tuning | None = None,
    tracker: Tracker = SILENT,
) -> dict[str, object]:
    """Deploys a NIR file; returns the chip report.

    Args:
        config: How.
        nir_file: A float network with metadata.
        out: The bundle's folder.
        given: Metadata that the file lacks, by `NirMeta` field.
        calibration: Without it, or with no samples to search on, every scale is the one that just
            fits; without it golden images are noise.
        tuning: What fine-tuning learns from, where the config asks for it.
        tracker: Shown progress.

    Raises:
        UnsupportedNodeError: If the network has no counterpart on the chip, or none that is exact
            and approximations are not allowed.
        RangeError: If it fits its registers at no scale.
        MissingAbilityError: If an ONNX file is wanted and onnx or onnxruntime is not installed.
    """
    if config.onnx:
        require_onnx()
    chip = chip_named(config.chip)
    # Opened first: that the output cannot be written should not be said after the scale search.
    with atomic_folder(out, marker=SUMS) as folder:
        made = to_integers(
            config, nir_file, given=given, calibration=calibration, tuning=tuning, tracker=tracker
        )
        return _fill(folder, config, nir_file, made, chip, calibration)


def _fill(
    folder: Path,
    config: DeployConfig,
    nir_file: Path,
    made: Integers,
    chip: Chip,
    calibration: Calibration | None,
) -> dict[str, object]:
    fitted = fit(made.program, chip)
    if config.require_fit:
        require_fit(fitted)
    images = _golden_images(made.program, config, calibration)
    found = golden(made.program, images, dt=made.network.meta.dt)
    report = chip_report(
        made.program,
        chip,
        scales=made.scales,
        certificates=made.certificates,
        fitted=fitted,
        rails=found.rails,
        approximations=[str(found) for found in made.network.approximations],
        silent=_silent(made.network, found),
        finetuning=None if made.finetuning is None else summary(made.finetuning),
    )
    if config.c99:
        report |= {"c99": sizes(made.program)}
    write_bundle(
        folder,
        nir_file=nir_file,
        program=made.program,
        found=found,
        chip=report,
        manifest=_manifest(config, nir_file, made, calibration),
        runtimes=_runtimes(config, made.program, images),
        licences=licences(None if calibration is None else calibration.kind),
    )
    return report


def _runtimes(config: DeployConfig, program: Program, images: np.ndarray) -> dict[str, bytes]:
    """Files that run the integers where there is no spikeproof, by name."""
    files: dict[str, bytes] = {}
    if config.onnx:
        files[ONNX] = checked_onnx(program, images, how=config.onnx)
    if config.c99:
        files |= c99_files(program, images)
    return files


def _silent(network: FloatNetwork, found: Golden) -> list[str]:
    """Populations that are there to fire, and do not."""
    fire = {layer.name for layer in network.layers if layer.theta is not None}
    return [name for name, spikes in found.spikes.items() if name in fire and not spikes.any()]


def to_integers(
    config: DeployConfig,
    nir_file: Path,
    *,
    given: dict[str, Any] | None = None,
    calibration: Calibration | None = None,
    tuning: Tuning | None = None,
    tracker: Tracker = SILENT,
) -> Integers:
    """The integers of a NIR file, certified; arguments and errors as of `run`."""
    if (config.finetune is None) != (tuning is None):
        raise ConfigError(
            "expected fine-tuning with data to learn from, got one of both; give both or neither"
        )
    precision = Precision(bits=config.bits, layers=config.layer_bits)
    graph = read_nir(nir_file)
    meta = read_meta(graph, **(given or {}))
    network = lower(graph, meta, allow_approximation=config.allow_approximation)
    search = _search(network, precision, config, calibration, tracker)
    program, scales = quantize(
        network, precision=precision, factors=search.factors if search else {}
    )
    record = None
    if config.finetune is not None and tuning is not None:
        tuned = finetune(
            network,
            tuning,
            config=config.finetune,
            precision=precision,
            scales=scales,
            tracker=tracker,
        )
        program, scales, record = tuned.program, tuned.scales, tuned.record
    if config.constant_channel:
        program = carry_biases(program, bits=chip_named(config.chip).bias_bits)
    certificates = certify(program, steps=network.meta.steps)
    require(certificates)
    return Integers(
        network=network,
        program=program,
        scales=scales,
        certificates=certificates,
        search=search,
        finetuning=record,
    )


def _search(
    network: FloatNetwork,
    precision: Precision,
    config: DeployConfig,
    calibration: Calibration | None,
    tracker: Tracker,
) -> Search | None:
    if calibration is None:
        return None
    _check_shape(network, calibration.images)
    if config.search.samples == 0:
        return None
    images = torch.from_numpy(calibration.images).to(torch.float32) / LEVELS
    labels = torch.from_numpy(calibration.labels)
    return search_scales(
        network, images, labels, precision=precision, config=config.search, tracker=tracker
    )


def _check_shape(network: FloatNetwork, images: np.ndarray) -> None:
    if len(images) == 0 or tuple(images.shape[1:]) != network.sample_shape:
        raise DataError(
            f"expected calibration images of shape {network.sample_shape}, got "
            f"{list(images.shape)}; pass the data that the network was trained on"
        )


def _golden_images(
    program: Program, config: DeployConfig, calibration: Calibration | None
) -> np.ndarray:
    if calibration is not None:
        return calibration.images[: config.golden]
    return lattice_noise(program, config.golden, generator(config.seed, "golden"))


def frames_of(nir_file: Path, *, given: dict[str, Any] | None = None) -> FrameConfig | None:
    """How recordings become the input of a NIR file's network; None if it takes images.

    Raises:
        UnsupportedNodeError: If the network has no counterpart on the chip.
        ConfigError: If it has not two channels, one a polarity.
    """
    graph = read_nir(nir_file)
    meta = read_meta(graph, **(given or {}))
    if meta.encoding != "frames":
        return None
    shape = NirNetwork(graph, meta).input_shape
    if len(shape) != 3 or shape[0] != POLARITIES:
        raise ConfigError(
            f"expected a network for frames [{POLARITIES}, H, W] of events, got {shape}; "
            "calibrate it on images, or not at all"
        )
    cells = meta.input_frames or InputFrames()
    return FrameConfig(
        steps=meta.steps, size=shape[1:], binning=cells.binning, unit=cells.unit, cap=cells.cap
    )


def _manifest(
    config: DeployConfig,
    nir_file: Path,
    made: Integers,
    calibration: Calibration | None,
) -> dict[str, object]:
    search = made.search
    return {
        "config": asdict(config),
        "model_sha256": sha256(nir_file),
        "metadata": made.network.meta.to_metadata(),
        "calibration": None if calibration is None else calibration.source,
        "scales": "largest that fit (nothing searched)" if search is None else asdict(search),
        "matches": "Lava fixed-point model",
        **({} if made.finetuning is None else {"finetuning": made.finetuning}),
    }
