"""Accuracy with flipped bits of weights, and with spikes lost on their way."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ...attacks.attack import Attack
from ...attacks.loss import is_fooled
from ...sim.classifier import TwinClassifier
from ...sim.faults import LostSpikes, flipped
from ..samples import Batch
from ..statistics import mean_of
from .asked import Asked

FLIPS = (0.0, 1e-4, 1e-3, 1e-2)
"""Chances of a stored bit of a weight."""

LOSSES = (0.0, 0.01, 0.05, 0.2)
"""Chances of a spike."""

DRAWS = 5
"""Of every chance."""

Faulty = Callable[[Batch, Tensor], Tensor]
"""Of a batch and images in its place: logits, up to their scale, of a chip with a fault."""


def bit_flips(asked: Asked, rate: float, draw: int) -> Faulty:
    """A chip whose weights were stored badly; it is the same for all samples."""
    program = flipped(asked.chip.program, rate=rate, seed=asked.seed, draw=draw)
    chip = TwinClassifier(program, device=asked.device)
    return lambda batch, images: chip(images)


def lost_spikes(asked: Asked, rate: float, draw: int) -> Faulty:
    """A chip that loses spikes, others for each sample."""

    def reading(batch: Batch, images: Tensor) -> Tensor:
        keys = tuple(batch.keys.tolist())
        wire = LostSpikes(rate=rate, seed=asked.seed, draw=draw, keys=keys)
        found = asked.chip.run(images, wire=wire).reading
        assert found is not None
        return found

    return reading


FAULTS: dict[str, tuple[Callable[[Asked, float, int], Faulty], tuple[float, ...]]] = {
    "bit_flips": (bit_flips, FLIPS),
    "dropped_spikes": (lost_spikes, LOSSES),
}
"""By name: the fault, and its chances."""


def faults(asked: Asked, attacks: Sequence[Attack], *, confidence: float) -> dict[str, Any]:
    """Accuracy on clean and on adversarial images, by fault and chance.

    Args:
        asked: The sound chip, which the adversarial images are crafted on, and the samples.
        attacks: What crafts them: for each sample the point of largest loss that any finds.
        confidence: Of the intervals over draws.
    """
    shown = [(batch, (batch.images, _worst(asked, attacks, batch))) for batch in asked.batches()]
    return {
        name: [
            _row(rate, [_accuracies(make(asked, rate, d), shown) for d in range(DRAWS)], confidence)
            for rate in rates
        ]
        for name, (make, rates) in FAULTS.items()
    }


def _row(rate: float, draws: Sequence[tuple[float, ...]], confidence: float) -> dict[str, Any]:
    clean, adversarial = (
        asdict(mean_of(np.array(values), confidence=confidence, within=(0.0, 1.0)))
        for values in zip(*draws, strict=True)
    )
    return {"rate": rate, "clean": clean, "adversarial": adversarial}


def _accuracies(
    faulty: Faulty, shown: Sequence[tuple[Batch, tuple[Tensor, ...]]]
) -> tuple[float, ...]:
    """Share of the samples that are right, for each kind of image."""
    right = [
        [~is_fooled(faulty(batch, images), batch.labels)[: batch.count] for images in kinds]
        for batch, kinds in shown
    ]
    return tuple(float(torch.cat(kind).double().mean()) for kind in zip(*right, strict=True))


def _worst(
    asked: Asked, attacks: Sequence[Attack], batch: Batch
) -> Float[Tensor, "B channels H W"]:
    """The images of largest loss on the sound chip."""
    images, loss = batch.images, torch.full_like(batch.images[:, 0, 0, 0], -torch.inf)
    for attack in attacks:
        found = batch.under(attack, asked.chip, threat=asked.threat, seed=asked.seed)
        is_worse = found.loss > loss
        images = torch.where(is_worse[:, None, None, None], found.images, images)
        loss = torch.where(is_worse, found.loss, loss)
    return images
