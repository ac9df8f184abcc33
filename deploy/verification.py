"""Checking a bundle: its hashes, and its golden vectors on every executor at hand."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import MissingAbilityError, NotEqualError
from ..core.progress import SILENT, Tracker
from ..export.c99.build import require_equal as require_equal_c99
from ..export.onnx_scope import require_onnx
from ..export.to_onnx import require_equal
from ..sim.arrays import read_arrays
from ..sim.oracle.run import lava_status
from .bundle import AUDIT, Bundle, check_sums, read_bundle, require_own_audit
from .executors import Executed, load_float, run_float, run_on_lava, run_twin
from .golden import require_trace
from .samples import Samples, lattice_samples, read_samples


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check: what was done, and whether it could be."""

    name: str
    detail: str
    was_run: bool = True


def verify_bundle(
    folder: Path, *, device: str = "cpu", tracker: Tracker = SILENT
) -> tuple[Check, ...]:
    """Checks a bundle; the tracker is shown each executor's run.

    Raises:
        FormatError: If the folder is no bundle.
        NotEqualError: If a file changed, or an executor does not reproduce the golden vectors.
    """
    files = check_sums(folder)
    bundle = read_bundle(folder)
    arrays = read_arrays(folder / "golden.npz")
    samples = read_samples(folder / "golden.npz")
    images = lattice_samples(bundle.program, samples)
    twin = run_twin(bundle.program, images, device, tracker=tracker)
    _require_equal("twin", twin, arrays)
    values = require_trace(folder, bundle.program, arrays)
    done = [
        Check(name="hashes", detail=f"{files} files as sealed"),
        Check(name="twin", detail=f"{len(images)} golden samples, every spike and logit equal"),
        Check(name="trace", detail=f"{values} values of golden.nir as nir reads them, equal"),
        _float(bundle, samples, arrays, tracker),
        *_onnx(bundle, images),
        *_c99(bundle, images),
        *_audit(folder),
    ]
    obstacle = lava_status().reason
    if obstacle:
        return (*done, Check(name="lava", detail=f"not run: {obstacle}", was_run=False))
    _require_equal("lava", run_on_lava(bundle, images, tracker=tracker), arrays)
    return (
        *done,
        Check(name="lava", detail=f"{len(images)} golden samples, every spike and logit equal"),
    )


def _require_equal(name: str, found: Executed, golden: dict[str, np.ndarray]) -> None:
    compared = {key: value for key, value in found.arrays().items() if key != "layers"}
    for key, value in compared.items():
        if key not in golden or value.shape != golden[key].shape:
            raise NotEqualError(
                f"expected {key} of shape {list(value.shape)} in golden.npz, got "
                f"{list(golden[key].shape) if key in golden else 'none'}; deploy again"
            )
        if not np.array_equal(value, golden[key]):
            where = tuple(int(i) for i in np.argwhere(value != golden[key])[0])
            raise NotEqualError(
                f"expected {key} on {name} as in golden.npz, got another value at {where}; the "
                f"bundle and this executor disagree"
            )


def _float(
    bundle: Bundle, samples: Samples, golden: dict[str, np.ndarray], tracker: Tracker
) -> Check:
    """The float network is another network: its agreement is told, not demanded."""
    network = load_float(bundle.nir, bundle.metadata)
    classes = run_float(network, samples, tracker=tracker).predictions
    same = int((classes == golden["predictions"]).sum())
    return Check(name="float", detail=f"{same} of {len(classes)} golden samples in the same class")


def _onnx(bundle: Bundle, images: np.ndarray) -> list[Check]:
    """The ONNX file, where the bundle has one: the twin equals the golden vectors by now."""
    if bundle.onnx is None:
        return []
    try:
        require_onnx()
    except MissingAbilityError as error:
        return [Check(name="onnx", detail=f"not run: {error}", was_run=False)]
    values = require_equal(bundle.program, bundle.onnx, images)
    return [Check(name="onnx", detail=f"{len(images)} golden samples, {values} logits equal")]


def _c99(bundle: Bundle, images: np.ndarray) -> list[Check]:
    """The C files, where the bundle has some and this machine a compiler."""
    if not bundle.has_c99:
        return []
    try:
        lines = require_equal_c99(bundle.path, bundle.program, images)
    except MissingAbilityError as error:
        return [Check(name="c99", detail=f"not run: {error}", was_run=False)]
    return [Check(name="c99", detail=f"compiled; {lines} golden samples, every reading equal")]


def _audit(folder: Path) -> list[Check]:
    """The audit, where one was sealed in."""
    if not (folder / AUDIT).is_file():
        return []
    require_own_audit(folder)
    return [Check(name="audit", detail=f"{AUDIT} is of this bundle")]
