"""A trained network and its NIR graph side by side: spikes, logits, and float32 beside float64."""

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import nir
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ..core.decision import predictions
from ..core.errors import NotEqualError
from ..sim.graph.meta import read_meta
from ..sim.graph.network import NirNetwork
from ..train.network import SpikingNetwork
from .flips import Flips, first_flips, weight_scale

LOGITS_EQUAL = 1e-9
"""Largest difference of logits in float64."""
TIE_FLOAT64 = 1e-12
"""Nearer to θ than this, in units of Σ|w|, rounding alone decides a spike in float64."""
TIE_FLOAT32 = 1e-5
"""Likewise in float32."""


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """One layer of neurons on the sample.

    `rate` is spikes per neuron and step; `flips` and `margin` tell of float32 on this layer's
    float64 input: neurons whose train differs, and the largest |v − θ| among them in Σ|w|.
    """

    name: str
    rate: float
    flips: int
    margin: float


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """How the written file compares with the trained network, on `samples` images or trains.

    In float64 all spikes are equal and logits differ by at most `logit_difference`. `agreement` is
    the share of images that the file in float32 puts in the same class.
    """

    samples: int
    logit_difference: float
    agreement: float
    layers: tuple[LayerReport, ...]

    @property
    def silent(self) -> tuple[str, ...]:
        """Layers without a single spike: equality says nothing about what follows them."""
        return tuple(layer.name for layer in self.layers if layer.rate == 0)

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


class Comparison:
    """A network and its graph, compared batch by batch.

    Args:
        network: On any device, in any mode; not changed.
        graph: With metadata.
    """

    def __init__(self, network: SpikingNetwork, graph: nir.NIRGraph) -> None:
        meta = read_meta(graph)
        self.reference = copy.deepcopy(network).cpu().double().eval()
        self.double = NirNetwork(graph, meta, dtype=torch.float64)
        self.single = NirNetwork(graph, meta, dtype=torch.float32)

    @torch.no_grad()
    def run(self, images: Shaped[Tensor, "*T N C H W"]) -> ExportReport:
        """The report on one batch of uint8 images, or of frames of event counts.

        Raises:
            NotEqualError: If a spike in float64 differs, logits by more than 1e-9, or a spike in
                float32 where |v − θ| > 1e-5·Σ|w|·max|x|.
        """
        is_direct = self.double.meta.encoding == "direct"
        train = self.double.encode(images) if is_direct else images.double()
        x = images.double() / 255 if is_direct else train
        outputs, spikes = dict(self.reference.walk(x)), self.double.run(train)
        values = {self.double.input: train, **spikes}
        for name in self.double.spiking:
            self._require_equal_spikes(name, values, outputs[name])
        logits = self.reference(x)
        difference = _require_equal_logits(logits, self.double.read_out(values))
        same = predictions(self.single.logits(train.float())) == predictions(logits)
        return ExportReport(
            samples=train.shape[1],
            logit_difference=difference,
            agreement=float(same.double().mean()),
            layers=tuple(self._layer(name, values) for name in self.double.spiking),
        )

    def _require_equal_spikes(
        self, name: str, values: dict[str, Tensor], expected: Float[Tensor, "T *axes"]
    ) -> None:
        flips = self._flips(name, values, expected)
        if not flips.count:
            return
        cause = "the graph computes something else"
        if flips.margin <= TIE_FLOAT64:
            cause = "the membrane meets the threshold there, so rounding decides; change theta"
        raise NotEqualError(
            f"expected the spikes of layer {name!r} in float64 as in the network, got "
            f"{flips.count} neurons that differ, first at (step, sample, neuron) {flips.first}, "
            f"with |v − θ| up to {flips.margin:.1e}·Σ|w|·max|x|; {cause}"
        )

    def _layer(self, name: str, values: dict[str, Tensor]) -> LayerReport:
        """The layer in float32 on its recorded input."""
        others = {other: value.float() for other, value in values.items() if other != name}
        flips = self._flips(name, values, self.single.values(others, [name])[name].double())
        if not flips.margin <= TIE_FLOAT32:
            raise NotEqualError(
                f"expected layer {name!r} in float32 to differ only where |v − θ| <= "
                f"{TIE_FLOAT32:g}·Σ|w|·max|x|, got {flips.margin:.1e} at (step, sample, neuron) "
                f"{flips.first}; its weights cancel too much for float32"
            )
        rate = float(values[name].mean())
        return LayerReport(name=name, rate=rate, flips=flips.count, margin=flips.margin)

    def _flips(self, name: str, values: dict[str, Tensor], others: Tensor) -> Flips:
        inputs = {other: value for other, value in values.items() if other != name}
        scale = weight_scale(self.double, name, inputs)
        return first_flips(
            self.double, scale, name=name, inputs=inputs, spikes=values[name], others=others
        )


def joined(parts: Sequence[ExportReport]) -> ExportReport:
    """The report on all batches together."""
    total = sum(part.samples for part in parts)
    shares = [part.samples / total for part in parts]
    return ExportReport(
        samples=total,
        logit_difference=max(part.logit_difference for part in parts),
        agreement=mean([part.agreement for part in parts], shares),
        layers=joined_layers([part.layers for part in parts], shares),
    )


def joined_layers(
    parts: Sequence[Sequence[LayerReport]], shares: Sequence[float]
) -> tuple[LayerReport, ...]:
    """Each layer's report on all batches; `shares` are the batches' shares of the samples."""
    return tuple(
        LayerReport(
            name=layers[0].name,
            rate=mean([layer.rate for layer in layers], shares),
            flips=sum(layer.flips for layer in layers),
            margin=max(layer.margin for layer in layers),
        )
        for layers in zip(*parts, strict=True)
    )


def mean(values: Sequence[float], shares: Sequence[float]) -> float:
    """Of values that stand for different shares."""
    return sum(value * share for value, share in zip(values, shares, strict=True))


def _require_equal_logits(expected: Float[Tensor, "N K"], found: Float[Tensor, "N K"]) -> float:
    """The largest difference."""
    difference = float((expected - found).abs().max())
    if not difference <= LOGITS_EQUAL:
        raise NotEqualError(
            f"expected logits in float64 within {LOGITS_EQUAL:g} of the network's, got a "
            f"difference of {difference:g}; the graph computes something else"
        )
    return difference
