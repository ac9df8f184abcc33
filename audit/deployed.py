"""A checkpoint and a bundle as the two models of an audit, checked to belong together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nir
import numpy as np
from jaxtyping import UInt8

from ..attacks.lattice import Cells
from ..core.errors import ConfigError, DataError
from ..core.files import read_json, sha256
from ..datasets.frames import FrameConfig
from ..datasets.images import ImageData, fingerprint, split
from ..datasets.pairs import PICTURE, VIEWS
from ..deploy.bundle import Bundle, identity, read_bundle
from ..deploy.finetune import summary
from ..deploy.lower import lower
from ..deploy.quantize import Precision, quantize
from ..deploy.stages import LoweredNetwork, stages
from ..export.to_nir import to_nir
from ..sim.classifier import TwinClassifier
from ..sim.graph.file import read_nir
from ..sim.graph.meta import read_meta
from ..train.checkpoint import checkpoint_file
from ..train.checkpoint import load as load_checkpoint
from ..train.network import SpikingNetwork
from ..train.run_folder import CONFIG
from ..train.target import NetworkTarget
from .config import AuditConfig
from .ranking import IMAGES
from .rates import RateMeter
from .remarks import FINETUNING, FRAMES, FULL, LEFT_OUT, PICTURES, SIMULATED, TRAINED_ON
from .samples import Samples


@dataclass(frozen=True, kw_only=True, eq=False)
class Deployed:
    """A float network and its chip.

    Args:
        network: The trained network.
        float_target: It, as attacks see it.
        hardware_target: The chip's integers, as attacks see them.
        context: What an audit writes down about both.
        stages: By name, what lies between both: the network with ever more of the chip's rounding.
            Empty where currents last longer than a step.
    """

    network: SpikingNetwork
    float_target: NetworkTarget
    hardware_target: TwinClassifier
    context: dict[str, Any]
    stages: dict[str, LoweredNetwork] = field(default_factory=dict)

    @property
    def rates(self) -> dict[str, RateMeter]:
        """What measures spike rates on either side."""
        return {"float": self.network.rates, "hardware": self.hardware_target.rates}


def load_deployed(checkpoint: Path, bundle: Path, *, device: str = "cpu") -> Deployed:
    """Opens both.

    Raises:
        FormatError: If either is damaged.
        NotEqualError: If the bundle was changed after it was sealed.
        DataError: If the bundle was not made from the checkpoint.
    """
    network = load_checkpoint(checkpoint).to(device)
    opened = read_bundle(bundle)
    _check_pair(network, opened)
    return Deployed(
        network=network,
        float_target=NetworkTarget(network),
        hardware_target=TwinClassifier(opened.program, device=device),
        stages=_stages(opened, device),
        context={
            **_training(checkpoint),
            "architecture": network.config.architecture,
            "steps": network.config.steps,
            "checkpoint_sha256": sha256(checkpoint_file(checkpoint)),
            "bundle_sha256": identity(bundle),
            **_making(opened),
        },
    )


def _making(bundle: Bundle) -> dict[str, Any]:
    """How the integers came about, as far as it is not the rule: bits, and what was learnt."""
    config, learnt = bundle.manifest["config"], bundle.manifest.get("finetuning")
    layers = config.get("layer_bits")  # a bundle of an earlier version names none
    return {
        "bits": config["bits"],
        **({"layer_bits": layers} if layers else {}),
        **({FINETUNING: summary(learnt)} if learnt else {}),
    }


def _stages(bundle: Bundle, device: str) -> dict[str, LoweredNetwork]:
    graph = read_nir(bundle.nir)
    graph.metadata = dict(bundle.manifest["metadata"])
    network = lower(graph, read_meta(graph), allow_approximation=True)
    chosen, config = bundle.manifest["scales"], bundle.manifest["config"]
    # A bundle of an earlier version names no layers.
    precision = Precision(bits=config["bits"], layers=config.get("layer_bits", {}))
    factors = chosen["factors"] if isinstance(chosen, Mapping) else {}
    _, scales = quantize(network, precision=precision, factors=factors)
    return stages(network, scales, precision=precision, device=device)


def _training(checkpoint: Path) -> dict[str, Any]:
    """How the network was trained, where the folder of a training says so."""
    written = checkpoint_file(checkpoint).parent / CONFIG
    found = read_json(written) if written.is_file() else {}
    recipe, data = found.get("train"), found.get("data")
    how = {} if recipe is None else {"method": recipe["method"], "training": recipe}
    return how if data is None else {**how, TRAINED_ON: data}


def data_context(data: ImageData, frames: FrameConfig | None = None) -> dict[str, Any]:
    """What an audit writes down about its data, and about how recordings became frames."""
    found: dict[str, Any] = {"data": data.name, "data_sha256": fingerprint(data)}
    found |= {SIMULATED: True} if data.is_simulated else {}
    found |= {LEFT_OUT: dict(data.left_out)} if data.left_out else {}
    if frames is None:
        return found
    found[FRAMES] = frames.to_dict()
    views = VIEWS.get(data.name, ())
    if PICTURE in views:
        return {**found, PICTURES: views.count(PICTURE) / len(views)}
    return {**found, FULL: _full_cells(data.test_images, frames.cap)}


def _full_cells(stacks: UInt8[np.ndarray, "N TC H W"], cap: int) -> float:
    """Of the cells with events, the share at the cap."""
    return float((stacks == cap).sum() / max(1, (stacks > 0).sum()))


def cells_of(frames: FrameConfig | None) -> Cells | None:
    """What attacks have to know of frames; None of images."""
    if frames is None:
        return None
    return Cells(steps=frames.steps, unit=frames.unit, cap=frames.cap)


def trial_images(data: ImageData, *, seed: int) -> Samples:
    """Images of the training part, none of them audited, to rank estimators on."""
    count = min(IMAGES, len(data.train_labels) - 1)
    _, part = split(data, seed=seed, holdout=count)
    keys = np.arange(len(part), dtype=np.int64)
    return Samples(images=part.images, labels=part.labels, keys=keys)


def check_data(deployed: Deployed, data: ImageData, config: AuditConfig) -> None:
    """Refuses data that neither model was made for.

    Raises:
        DataError: If the images' shape or the classes do not fit.
        ConfigError: If there are fewer test images than the audit asks for.
    """
    network = deployed.network.config
    expected = tuple(network.input_shape), network.steps if network.frames else None
    if (tuple(data.image_shape), data.steps) != expected:
        raise DataError(
            f"expected {_kind(*expected)}, got {_kind(tuple(data.image_shape), data.steps)} in "
            f"{data.name}; pass the data that the network was trained on"
        )
    if int(data.test_labels.max()) >= deployed.network.config.classes:
        raise DataError(
            f"expected labels below {deployed.network.config.classes}, got "
            f"{int(data.test_labels.max())} in {data.name}; pass the data of training"
        )
    if config.samples is not None and config.samples > len(data.test_labels):
        raise ConfigError(
            f"expected at most {len(data.test_labels)} samples of {data.name}, got "
            f"{config.samples}; ask for fewer"
        )


def _kind(shape: tuple[int, ...], steps: int | None) -> str:
    what = "images" if steps is None else f"recordings in {steps} frames"
    return f"{what} of shape {shape}"


def _check_pair(network: SpikingNetwork, bundle: Bundle) -> None:
    """Refuses a bundle that was not made from this network."""
    for name in ("steps", "readout"):
        expected, got = getattr(network.config, name), bundle.metadata[name]
        if got != expected:
            raise DataError(
                f"expected {bundle.path} to be made from this checkpoint, got {name} {got} where "
                f"the checkpoint has {expected}; export and deploy this checkpoint"
            )
    ours, theirs = to_nir(network), read_nir(bundle.nir)
    offset = None if bundle.program.encoding is None else bundle.program.encoding.offset
    if offset != tuple(network.config.mean):
        raise DataError(
            f"expected {bundle.path} to be made from this checkpoint, got another lattice mean "
            f"{offset} than {tuple(network.config.mean)}; export and deploy this checkpoint"
        )
    differing = next((n for n in ours.nodes if not _same(ours.nodes[n], theirs.nodes.get(n))), None)
    is_wired_alike = sorted(ours.edges) == sorted(theirs.edges)
    if differing is not None or ours.nodes.keys() != theirs.nodes.keys() or not is_wired_alike:
        where = f"another {differing!r}" if differing is not None else "other layers or edges"
        raise DataError(
            f"expected {bundle.path} to be made from this checkpoint, got {where} in its "
            f"{bundle.nir.name}; export and deploy this checkpoint"
        )


FREE = ("metadata",)
"""Fields of a node that say nothing of what it computes."""


def _same(ours: nir.NIRNode, theirs: nir.NIRNode | None) -> bool:
    """Whether two nodes are of one kind and hold the same, numbers up to rounding."""
    if type(ours) is not type(theirs):
        return False
    fields, others = (
        {key: value for key, value in vars(node).items() if key not in FREE}
        for node in (ours, theirs)
    )
    return fields.keys() == others.keys() and all(
        _equal(value, others[key]) for key, value in fields.items()
    )


def _equal(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        return ours.keys() == theirs.keys() and all(_equal(ours[k], theirs[k]) for k in ours)
    if ours is None or theirs is None:
        return ours is theirs
    # A file gives back lists and NumPy's numbers where tuples and Python's went in.
    first, second = np.asarray(ours), np.asarray(theirs)
    if first.shape != second.shape or not np.issubdtype(first.dtype, np.number):
        return bool(np.array_equal(first.astype(str), second.astype(str)))
    return np.issubdtype(second.dtype, np.number) and np.allclose(
        first, second, rtol=1e-9, atol=1e-12
    )
