"""Writing a NIR file only after it was read back and found equal to the trained network."""

from collections.abc import Sequence
from pathlib import Path

import nir
import torch
from jaxtyping import Shaped
from torch import Tensor

from ..core.errors import DataError
from ..core.files import atomic_path
from ..core.progress import SILENT, Tracker
from ..sim.graph.file import read_nir, write_nir
from ..train.network import SpikingNetwork
from .compare import Comparison, ExportReport, joined
from .to_nir import to_nir

BATCH = 16


def export_network(
    network: SpikingNetwork,
    out: Path,
    *,
    images: Shaped[Tensor, "*T N C H W"],
    classes: Sequence[str] = (),
    tracker: Tracker = SILENT,
) -> ExportReport:
    """Writes `network` as the NIR file `out`, verified by reading it back.

    Args:
        network: On any device, in any mode; not changed.
        out: Written whole or not at all.
        images: The sample to compare on: uint8 images, or frames [T, N, C, H, W] of event counts.
        classes: Names of the classes, in the order of the logits.
        tracker: Advanced by images.

    Raises:
        UnsupportedNodeError: If a layer cannot be kept exactly.
        NotEqualError: If the file computes something else than the network; nothing is written.
        DataError: If `images` are no images of the network's size.
    """
    graph = to_nir(network, classes=classes)
    with atomic_path(out) as temporary:
        write_nir(temporary, graph)
        return verify(network, read_nir(temporary), images, tracker=tracker)


def verify(
    network: SpikingNetwork,
    graph: nir.NIRGraph,
    images: Shaped[Tensor, "*T N C H W"],
    *,
    tracker: Tracker = SILENT,
) -> ExportReport:
    """Compares a NIR graph with the network it was made from, layer by layer.

    Spikes and logits in float64, each layer of the graph in float32 on its float64 input, and the
    classes in float32 end to end.

    Raises:
        NotEqualError: If a spike in float64 differs, logits by more than 1e-9, or a spike in
            float32 where |v − θ| > 1e-5·Σ|w|·max|x|.
        DataError: If `images` are no images of the network's size.
    """
    _check_images(network, images)
    comparison, parts = Comparison(network, graph), []
    axis = images.ndim - 4
    with tracker.task("verify", images.shape[axis]) as task:
        for batch in images.cpu().split(BATCH, dim=axis):
            parts.append(comparison.run(batch))
            task.advance(batch.shape[axis])
    return joined(parts)


def _check_images(network: SpikingNetwork, images: Tensor) -> None:
    config = network.config
    shape, is_direct = tuple(config.input_shape), config.encoding == "direct"
    before = images.shape[:-3]
    fits = len(before) == 1 if is_direct else len(before) == 2 and before[0] == config.steps
    is_whole = images.dtype == torch.uint8 or not is_direct
    if not (fits and is_whole and images.shape[-3:] == shape and images.numel()):
        wanted = "uint8 image [N" if is_direct else f"train of frames [{config.steps}, N"
        raise DataError(
            f"expected at least one {wanted}, {', '.join(map(str, shape))}], got "
            f"{images.dtype} {list(images.shape)}; pass samples of the data set it was trained on"
        )
