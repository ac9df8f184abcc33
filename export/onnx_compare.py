"""A NIR graph under torch and under onnxruntime, side by side in float32."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor

from ..core.decision import predictions
from ..core.errors import NotEqualError
from ..core.progress import SILENT, Tracker
from ..sim.graph.meta import read_meta
from ..sim.graph.network import NirNetwork
from .compare import TIE_FLOAT32, LayerReport, joined_layers, mean
from .flips import first_flips, weight_scale
from .float_onnx import FRAMES, IMAGES, LOGITS, layer_onnx, network_onnx
from .onnx_scope import open_session

LOGITS_CLOSE = 1e-5
"""Largest difference of logits where no spike is flipped, in max(1, |logit|)."""
BATCH = 32


@dataclass(frozen=True, kw_only=True)
class OnnxReport:
    """How a float ONNX file compares with torch in float32, on `samples` inputs.

    `unflipped` is the share of samples all of whose spikes are equal; there logits differ by at
    most `logit_difference`, in max(1, |logit|). `agreement` is the share in the same class, and
    `layers` tell of each layer on its float64 input.
    """

    samples: int
    unflipped: float
    logit_difference: float
    agreement: float
    layers: tuple[LayerReport, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


def compare_onnx(
    graph: nir.NIRGraph, samples: Tensor, *, batch: int = BATCH, tracker: Tracker = SILENT
) -> OnnxReport:
    """Runs a graph by torch and by onnxruntime.

    Args:
        graph: With metadata.
        samples: Images `[N, C, H, W]`, uint8 or in [0, 1], or frames `[T, N, C, H, W]` where it
            takes those.
        batch: Samples that are run at once.
        tracker: Advanced by samples.

    Raises:
        NotEqualError: If a spike of a layer on its recorded input differs where |v − θ| >
            1e-5·Σ|w|·max|x|, or logits without a flipped spike by more than 1e-5.
        UnsupportedNodeError: If a node has no counterpart in ONNX.
        MissingAbilityError: If onnx or onnxruntime is not installed.
    """
    comparison, parts = _Comparison(graph), []
    axis = 0 if comparison.is_direct else 1
    with torch.no_grad(), tracker.task("onnx", samples.shape[axis]) as task:
        for part in samples.split(batch, dim=axis):
            parts.append(comparison.run(part))
            task.advance(part.shape[axis])
    return _joined(parts)


class _Comparison:
    """Both sides of a graph, and each of its layers alone, ready to run."""

    def __init__(self, graph: nir.NIRGraph) -> None:
        meta = read_meta(graph)
        self.is_direct = meta.encoding == "direct"
        self.double = NirNetwork(graph, meta, dtype=torch.float64)
        self.single = NirNetwork(graph, meta, dtype=torch.float32)
        self.whole = open_session(network_onnx(self.single, record=True))
        self.layers = {name: self._layer(name) for name in self.single.spiking}

    def run(self, samples: Tensor) -> OnnxReport:
        """The report on one batch."""
        train = self.double.encode(samples) if self.is_direct else samples.double()
        values = {self.double.input: train, **self.double.run(train)}
        layers = tuple(self._compare_layer(name, values) for name in self.single.spiking)
        is_levels = self.is_direct and samples.dtype == torch.uint8
        given = samples.float() / 255 if is_levels else samples.float()
        logits, *spikes = self._answers(given)
        expected = self.single.read_out({self.single.input: train.float()})
        equal = self._unflipped(train.float(), spikes)
        return OnnxReport(
            samples=len(logits),
            unflipped=float(equal.double().mean()),
            logit_difference=_require_close(expected[equal], logits[equal]),
            agreement=float((predictions(logits) == predictions(expected)).double().mean()),
            layers=layers,
        )

    def _answers(self, samples: Tensor) -> list[Tensor]:
        """Logits and the spikes of every layer under onnxruntime."""
        names = [LOGITS, *(f"s{k}" for k in range(len(self.layers)))]
        given = {IMAGES if self.is_direct else FRAMES: samples.numpy()}
        return [torch.from_numpy(found) for found in self.whole.run(names, given)]

    def _unflipped(self, train: Tensor, spikes: Sequence[Tensor]) -> Tensor:
        """Which samples have the same spikes everywhere."""
        pairs = zip(self.single.run(train).values(), spikes, strict=True)
        differs = [(ours != theirs).transpose(0, 1).flatten(1).any(1) for ours, theirs in pairs]
        return ~torch.stack(differs).any(0)

    def _layer(self, name: str) -> Any:
        """A layer alone, given whatever it reads."""
        steps = dict.fromkeys(self.single.spiking, self.single.meta.steps)
        steps[self.single.input] = 1 if self.is_direct else self.single.meta.steps
        del steps[name]
        return open_session(layer_onnx(self.single, name, steps))

    def _compare_layer(self, name: str, values: dict[str, Tensor]) -> LayerReport:
        """The layer in float32 on its recorded input, as `compare.Comparison` does with torch's."""
        session, inputs = self.layers[name], {k: v for k, v in values.items() if k != name}
        given = {x.name: inputs[x.name].numpy().astype(np.float32) for x in session.get_inputs()}
        (found,) = session.run(["s0"], given)
        flips = first_flips(
            self.double,
            weight_scale(self.double, name, inputs),
            name=name,
            inputs=inputs,
            spikes=values[name],
            others=torch.from_numpy(found).double(),
        )
        if not flips.margin <= TIE_FLOAT32:
            raise NotEqualError(
                f"expected layer {name!r} under onnxruntime to differ from torch only where "
                f"|v − θ| <= {TIE_FLOAT32:g}·Σ|w|·max|x|, got {flips.margin:.1e} at (step, sample, "
                f"neuron) {flips.first}; keep the NIR file"
            )
        rate = float(values[name].mean())
        return LayerReport(name=name, rate=rate, flips=flips.count, margin=flips.margin)


def _require_close(expected: Tensor, found: Tensor) -> float:
    """The largest difference in max(1, |logit|); 0 where there is nothing to compare."""
    if not len(expected):
        return 0.0
    difference = float(((expected - found).abs() / expected.abs().clamp_min(1.0)).max())
    if not difference <= LOGITS_CLOSE:
        raise NotEqualError(
            f"expected logits under onnxruntime within {LOGITS_CLOSE:g} of torch's where all "
            f"spikes are equal, got a difference of {difference:g}; keep the NIR file"
        )
    return difference


def _joined(parts: Sequence[OnnxReport]) -> OnnxReport:
    """The report on all batches together."""
    total = sum(part.samples for part in parts)
    shares = [part.samples / total for part in parts]
    return OnnxReport(
        samples=total,
        unflipped=mean([part.unflipped for part in parts], shares),
        logit_difference=max(part.logit_difference for part in parts),
        agreement=mean([part.agreement for part in parts], shares),
        layers=joined_layers([part.layers for part in parts], shares),
    )
