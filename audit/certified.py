"""Robustness that is proven: inputs whose class no image within epsilon changes on the chip.

An audit bounds robust accuracy from above, by attacks that succeed; this bounds it from below, by
intervals of integers that enclose whatever the chip may do (`sim.intervals`). The truth is between.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from ..attacks.lattice import ThreatModel
from ..core.axes import stacks_to_train
from ..core.decision import predictions
from ..core.errors import DataError
from ..core.progress import SILENT, Tracker
from ..deploy.certify import certify, require
from ..sim.classifier import LEVELS, TwinClassifier, with_constant
from ..sim.intervals import Enclosure, Reach, Span
from ..sim.program import DECAY_UNITY, Program
from .statistics import wilson

CELLS = 1 << 23
"""Neurons times cases that are enclosed at once; decides the batch, and no result."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Certified:
    """What is proven within one radius.

    Args:
        levels: E: how far every pixel may move, of 255.
        margin: Lower bound of z_y − max z_k over all images in the box, in the chip's units.
        is_right: Whether the chip has the image itself right.
    """

    levels: int
    margin: Float[np.ndarray, " N"]
    is_right: Bool[np.ndarray, " N"]

    @property
    def holds(self) -> Bool[np.ndarray, " N"]:
        """Whether the class is right, and proven to stay."""
        return self.is_right & (self.margin > 0)

    def to_json(self, *, confidence: float = 0.95) -> dict[str, Any]:
        """Plain fields, the share with its Wilson interval."""
        share = wilson(int(self.holds.sum()), len(self.holds), confidence=confidence)
        return {
            "levels": self.levels,
            "epsilon": self.levels / LEVELS,
            "certified": {"value": share.value, "low": share.low, "high": share.high},
            "count": int(self.holds.sum()),
        }


def certify_inputs(
    program: Program,
    images: UInt8[np.ndarray, "N channels H W"],
    labels: Int64[np.ndarray, " N"],
    *,
    epsilons: Sequence[float],
    tracker: Tracker = SILENT,
) -> tuple[Certified, ...]:
    """Proves, image by image, that no change within epsilon on the lattice changes the class.

    Args:
        program: A deployed network.
        images: On the uint8 lattice; or stacks of frames.
        labels: Their classes.
        epsilons: Radii in input units, ℓ∞.
        tracker: Advanced by images.

    Returns:
        One answer a radius, in their order.

    Raises:
        DataError: If images or classes do not fit the network.
        RangeError: If the program's own certificates do not hold, without which nothing is proven.
        UnsupportedNodeError: As `Enclosure`.
    """
    if tuple(images.shape[1:]) != program.sample_shape:
        raise DataError(
            f"expected images of shape {program.sample_shape}, got {tuple(images.shape[1:])}; pass "
            "the data that the network was trained on"
        )
    chip, boxes = TwinClassifier(program), _Boxes(program)
    require(certify(program, steps=chip.encoding.steps))  # a read-out that clips adds up nothing
    classes = program.population(chip.readout.population).size
    if not ((labels >= 0) & (labels < classes)).all():
        raise DataError(
            f"expected classes within 0..{classes - 1}, got {labels.min()}..{labels.max()}; pass "
            "the data that the network was trained on"
        )
    with torch.no_grad(), tracker.task("certify", len(images) * len(epsilons)) as task:
        right = _right(chip, images, labels)
        found = []
        for epsilon in epsilons:
            levels, margins = ThreatModel(epsilon=epsilon).levels, []
            for start in range(0, len(images), boxes.size):
                part = slice(start, start + boxes.size)
                margins.append(boxes.margin(images[part], labels[part], levels).numpy())
                task.advance(len(margins[-1]), f"{levels}/255")
            margin = np.concatenate(margins)
            found.append(Certified(levels=levels, margin=margin, is_right=right))
    return tuple(found)


def _right(
    chip: TwinClassifier, images: UInt8[np.ndarray, "N channels H W"], labels: np.ndarray
) -> Bool[np.ndarray, " N"]:
    parts = torch.from_numpy(images).split(64)
    classes = [predictions(chip(part.to(torch.float32) / LEVELS)).numpy() for part in parts]
    return np.concatenate(classes) == labels


class _Boxes:
    """A deployed network that is shown boxes of images instead of images."""

    def __init__(self, program: Program) -> None:
        self.program, self.enclosure = program, Enclosure(program)
        self.chip, self.peak = TwinClassifier(program), program.peak
        self.steps = self.chip.encoding.steps
        largest = max(p.size for p in program.populations)
        self.size = max(1, CELLS // (largest * (self.steps + 1)))

    def margin(self, images: np.ndarray, labels: np.ndarray, levels: int) -> Float[Tensor, " N"]:
        """The least that the labelled class leads by, over each image's box."""
        x = torch.from_numpy(images).to(torch.float32)
        sent = Span(
            low=self._payload((x - levels).clamp(min=0)),
            high=self._payload((x + levels).clamp(max=self.peak)),
        )
        reach = self.enclosure.run({self.chip.source.name: sent}, steps=self.steps)
        lead = self._leads(reach, sent, torch.from_numpy(labels))
        own = torch.nn.functional.one_hot(torch.from_numpy(labels), lead.shape[1]).bool()
        return lead.masked_fill(own, torch.inf).amin(1)

    def _payload(self, stacks: Tensor) -> Tensor:
        """What enters, of samples in levels."""
        offset = torch.tensor(self.chip.encoding.offset)[:, None, None]
        levels = stacks_to_train(stacks, self.chip.encoding.frames) - offset
        train = with_constant(levels, self.chip.encoding)
        return train if self.chip.source.is_graded else (train != 0).to(train)

    def _leads(
        self, reach: dict[str, Reach], sent: Span, labels: Int64[Tensor, " N"]
    ) -> Float[Tensor, "N K"]:
        """By how much each label's read-out exceeds each class's, at least."""
        readout, program = self.chip.readout, self.program
        population = program.population(readout.population)
        found = reach[population.name]
        if readout.kind == "spikes":
            return _apart(found.count, labels)
        is_sum = readout.kind == "sum"
        keeps_nothing = DECAY_UNITY if is_sum else 0
        adds_up = np.all(population.du == DECAY_UNITY) and np.all(population.dv == keeps_nothing)
        if not adds_up or any(synapse.is_conv for synapse in program.into(population.name)):
            v = found.v
            last = (v.low.sum(0), v.high.sum(0)) if is_sum else (v.low[-1], v.high[-1])
            return _apart(Span(low=last[0][None], high=last[1][None]), labels)
        return self._weighted_leads(reach, sent, labels)

    def _weighted_leads(
        self, reach: dict[str, Reach], sent: Span, labels: Int64[Tensor, " N"]
    ) -> Float[Tensor, "N K"]:
        """Where the read-out only adds up, z_y − z_k = Σ (w_y − w_k)·counts + T·(b_y − b_k)."""
        population = self.program.population(self.chip.readout.population)
        bias = np.broadcast_to(0 if population.bias is None else population.bias, population.shape)
        drive = torch.from_numpy(bias.astype(np.float64)).flatten() * self.steps
        lead = drive[labels][:, None] - drive
        for synapse in self.program.into(population.name):
            count = reach[synapse.source].count if synapse.source in reach else self._held(sent)
            low, high = (end[0].double().flatten(1)[:, None] for end in (count.low, count.high))
            weight = torch.from_numpy(synapse.weight.astype(np.float64)).flatten(1)
            apart = weight[labels][:, None] - weight
            lead = lead + (apart.clamp(min=0) * low + apart.clamp(max=0) * high).sum(-1)
        return lead

    def _held(self, sent: Span) -> Span:
        """Payloads added up over the steps."""
        times = self.steps if len(sent.low) == 1 else 1
        low, high = (times * end.sum(0, keepdim=True) for end in (sent.low, sent.high))
        return Span(low=low, high=high)


def _apart(values: Span, labels: Int64[Tensor, " N"]) -> Float[Tensor, "N K"]:
    """Least value of the labelled class minus greatest of each."""
    low, high = (end[0].double().flatten(1) for end in (values.low, values.high))
    return low.gather(1, labels[:, None]) - high
