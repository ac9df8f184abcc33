"""Writing ONNX files, only after onnxruntime computed with them what torch and the twin compute."""

from pathlib import Path

import nir
import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from ..core.axes import stacks_to_train
from ..core.errors import DataError, NotEqualError
from ..core.files import write_bytes
from ..core.progress import SILENT, Tracker
from ..core.randomness import generator
from ..sim.classifier import LEVELS, TwinClassifier
from ..sim.graph.meta import read_meta
from ..sim.graph.network import NirNetwork
from ..sim.program import Program
from .float_onnx import network_onnx
from .integer_onnx import FRAMES, IMAGES, LOGITS, classifier_onnx
from .integer_sums import Sums
from .onnx_compare import OnnxReport, compare_onnx
from .onnx_scope import require_onnx, run_onnx

NOISE = 8
"""Images of noise that an integer file is tried on, beside the given ones and the extremes."""
BATCH = 64


def write_network_onnx(
    graph: nir.NIRGraph, out: Path, *, samples: Tensor, tracker: Tracker = SILENT
) -> OnnxReport:
    """Writes a NIR graph as an ONNX file in float32, once it is found equal to torch.

    Args:
        graph: With metadata.
        out: Written whole or not at all.
        samples: As of `compare_onnx`.
        tracker: Advanced by samples.

    Raises:
        UnsupportedNodeError: If a node has no counterpart in ONNX.
        NotEqualError: As of `compare_onnx`; nothing is written.
        MissingAbilityError: If onnx or onnxruntime is not installed.
    """
    require_onnx()
    report = compare_onnx(graph, samples, tracker=tracker)
    write_bytes(out, network_onnx(NirNetwork(graph, read_meta(graph))))
    return report


def checked_onnx(
    program: Program, images: UInt8[np.ndarray, "N channels H W"], *, how: Sums = "integer"
) -> bytes:
    """A deployed network's integers as an ONNX file, once every bit is found equal to the twin's.

    Args:
        program: As of `classifier_onnx`.
        images: What it is tried on, or stacks of frames, beside the least, the greatest, and noise.
        how: As of `classifier_onnx`.

    Raises:
        NotEqualError: If a logit differs.
        RangeError: If its sums cannot be computed exactly.
        MissingAbilityError: If onnx or onnxruntime is not installed.
    """
    model = classifier_onnx(program, how=how)
    shape, peak = program.sample_shape, program.peak
    noise = generator(0, "onnx").integers(0, peak, (NOISE, *shape), np.uint8, endpoint=True)
    extremes = np.stack([np.zeros(shape, np.uint8), np.full(shape, peak, np.uint8)])
    require_equal(program, model, np.concatenate([images, noise, extremes]))
    return model


def require_equal(
    program: Program, model: bytes | Path, images: UInt8[np.ndarray, "N channels H W"]
) -> int:
    """Compares the logits of an integer ONNX file with the twin's; returns how many there are.

    Raises:
        NotEqualError: If a logit differs in any bit.
        DataError: If the images do not fit.
        MissingAbilityError: If onnxruntime is not installed.
    """
    twin, values = TwinClassifier(program), 0
    if tuple(images.shape[1:]) != program.sample_shape:
        raise DataError(
            f"expected images or stacks of frames of shape {program.sample_shape}, got "
            f"{tuple(images.shape[1:])}; pass the data that the network was trained on"
        )
    for start in range(0, len(images), BATCH):
        part = images[start : start + BATCH]
        with torch.no_grad():
            expected = twin(torch.from_numpy(part).to(torch.float32) / LEVELS).numpy()
        found = run_onnx(model, _given(program, part), [LOGITS])[LOGITS]
        if not np.array_equal(expected, found):
            sample, label = (int(i) for i in np.argwhere(expected != found)[0])
            raise NotEqualError(
                f"expected the ONNX file's logits to equal the twin's in every bit, got "
                f"{found[sample, label]:.9g} for {expected[sample, label]:.9g} at sample "
                f"{start + sample}, class {label}; keep to the twin on this machine"
            )
        values += expected.size
    return values


def _given(program: Program, images: UInt8[np.ndarray, "N channels H W"]) -> dict[str, np.ndarray]:
    """What an integer file takes: images, or the train of stacks."""
    assert program.encoding is not None
    if program.encoding.kind == "direct":
        return {IMAGES: images}
    train = stacks_to_train(torch.from_numpy(images), program.encoding.steps)
    return {FRAMES: train.contiguous().numpy()}
