"""The chip as a network that can be trained: float masters, rounded to its integers at every pass.

    w_int = clip(round(w·S), ±peak),  b_int = round(b·S),  vth = round(θ·S)

S and θ stay what they were, so that weights move on one lattice. Forward is the chip to the last
bit; backward runs through the de-quantised network, straight through the rounding, and not where a
weight is clipped (Bengio et al. 2013; Jacob et al. 2018, section 3).
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from ..core.errors import ConfigError
from ..sim.classifier import LEVELS, TwinClassifier
from ..sim.gradients.estimators import TRAINING
from ..sim.learnt import Learnt
from ..sim.program import Program
from ..train.trainable import Trainable
from .float_network import FloatNetwork
from .quantize import Precision, quantize


@dataclass(frozen=True, kw_only=True)
class ChipConfig:
    """Shape and lattice of a chip that is trained.

    Args:
        mean: What is subtracted from the pixels of each channel.
        sample_shape: Of an image, or of a stack of frames.
        classes: K.
        precision: Of the weights.
        scales: By layer, S at the start; less where a certificate asks for it later.
    """

    mean: tuple[int, ...]
    sample_shape: tuple[int, ...]
    classes: int
    precision: Precision
    scales: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


class ChipNetwork(Trainable[ChipConfig]):
    """A lowered network whose every pass is that of the chip; weights and biases are learnt.

    Masters are in units of what a layer's inputs carry, so that one learning rate fits layers of
    spikes and layers of payloads: steps are those of a network with inputs in −1..1.

    Args:
        network: What is trained.
        precision: Of the weights.
        scales: S of each layer.

    Raises:
        ConfigError: If bits are given to a layer that it has not.
    """

    def __init__(
        self, network: FloatNetwork, *, precision: Precision, scales: Mapping[str, float]
    ) -> None:
        super().__init__()
        self.network, self.precision = network, precision
        self.config = ChipConfig(
            mean=network.offset,
            sample_shape=network.sample_shape,
            classes=math.prod(network.layers[-1].shape),
            precision=precision,
            scales=dict(scales),
        )
        self.peaks = precision.peaks(network)
        self.units = [_unit(network, s.source) for layer in network.layers for s in layer.synapses]
        weights = [torch.from_numpy(s.weight) for la in network.layers for s in la.synapses]
        self.weights = nn.ParameterList(
            nn.Parameter(weight.to(torch.float64) / unit)
            for weight, unit in zip(weights, self.units, strict=True)
        )
        self.biases = nn.ParameterList(
            nn.Parameter(torch.tensor(layer.bias, dtype=torch.float64)) for layer in network.layers
        )
        self._made: tuple[list[Tensor], Program, dict[str, float], TwinClassifier] | None = None

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K"]:
        """Logits of images, computed by the chip's integers; levels end at 0 and at the last one.

        A point that lies a step beyond them, as SR takes it, is the nearest that can enter a chip.
        """
        x = x.clamp(0.0, self.network.peak / LEVELS)
        program, scales, plain = self._ready(x.device)
        learns = torch.is_grad_enabled() and any(p.requires_grad for p in self.parameters())
        if not learns:
            return plain(x)
        # Made anew for every pass: a graph that was differentiated is gone.
        learnt = self._learnt(scales)
        return TwinClassifier(program, device=x.device, using=TRAINING, learnt=learnt)(x)

    def integers(self) -> tuple[Program, dict[str, float]]:
        """The chip as it stands: a program whose certificates hold, and S of each layer."""
        program, scales, _ = self._ready(self.weights[0].device)
        return program, scales

    def masters(self) -> FloatNetwork:
        """The network that is rounded."""
        pairs = zip(self.weights, self.units, strict=True)
        weights = iter([(weight.detach() * unit).cpu().numpy() for weight, unit in pairs])
        layers = [
            replace(
                layer,
                bias=bias.detach().cpu().numpy().copy(),
                synapses=tuple(replace(s, weight=next(weights)) for s in layer.synapses),
            )
            for layer, bias in zip(self.network.layers, self.biases, strict=True)
        ]
        return replace(self.network, layers=tuple(layers))

    def _ready(self, device: torch.device) -> tuple[Program, dict[str, float], TwinClassifier]:
        """Integers of the masters as they are, computed once for all passes of an attack."""
        made = self._made
        if made is None or made[3].twin.device != device or not self._stands(made[0]):
            self._check_finite()
            program, scales = quantize(
                self.masters(), precision=self.precision, factors={}, scales=self.config.scales
            )
            chip = TwinClassifier(program, device=device, using=TRAINING)
            copies = [parameter.detach().clone() for parameter in self.parameters()]
            made = self._made = copies, program, scales, chip
        return made[1:]

    def _stands(self, before: list[Tensor]) -> bool:
        """Whether no master moved; fused optimizers leave torch's version counters alone."""
        return all(torch.equal(p, b) for p, b in zip(self.parameters(), before, strict=True))

    def _check_finite(self) -> None:
        for name, parameter in self.named_parameters():
            if not bool(torch.isfinite(parameter).all()):
                raise ConfigError(
                    f"expected finite numbers in training, got others in {name}; lower "
                    "learning_rate"
                )

    def _learnt(self, scales: Mapping[str, float]) -> Learnt:
        pairs = zip(self.weights, self.units, strict=True)
        masters = iter([weight * unit for weight, unit in pairs])
        layers = self.network.layers
        return Learnt(
            weights={
                la.name: tuple(
                    _rounded((next(masters) * scales[la.name]).clamp(-peak, peak))
                    for _ in la.synapses
                )
                for la in layers
                for peak in (self.peaks[la.name],)
            },
            biases={
                la.name: _rounded(bias * scales[la.name])
                for la, bias in zip(layers, self.biases, strict=True)
            },
        )


def _rounded(x: Float64[Tensor, "..."]) -> Float64[Tensor, "..."]:
    """Whole numbers, halves to even, differentiated as the identity."""
    return x + (x.round() - x).detach()


def _unit(network: FloatNetwork, source: str) -> float:
    """What an input carries, as a power of two: dividing and multiplying by it rounds nothing."""
    if source != network.source:
        return 1.0
    span = max(1.0, (network.peak + max(network.offset) - min(network.offset)) / 2)
    return 2.0 ** -round(math.log2(span))
