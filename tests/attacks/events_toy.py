"""Stacks of frames, and a smooth toy that looks at them."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spikeproof.attacks.lattice import Cells, ThreatModel
from spikeproof.core.decision import predictions

CELLS = Cells(steps=4, unit=3, cap=30)
SHAPE = (8, 3, 3)
"""Four frames of two polarities on 3x3 pixels."""
EVENTS = ThreatModel(epsilon=1 / 255, cells=CELLS)


@dataclass(frozen=True)
class FrameToy:
    """logit_k = Σ_i a_ki·tanh(c_i): what a cell counts matters less the more there is."""

    weights: Tensor
    name: str = "toy"
    estimators: tuple[str, ...] = ("exact", "none")
    estimator: str = "exact"

    def __call__(self, x: Tensor) -> Tensor:
        seen = x.detach() + 0 * x if self.estimator == "none" else x
        felt = torch.tanh(seen.flatten(1).double() * 255 / CELLS.unit)
        # Cell by cell: a matrix product's last bit depends on the batch.
        return (felt[:, None, :] * self.weights[None]).sum(2).to(x.dtype)

    def using(self, estimator: str) -> "FrameToy":
        return replace(self, estimator=estimator)


def frame_toy(seed: int = 0) -> FrameToy:
    draw = np.random.default_rng(seed)
    return FrameToy(torch.from_numpy(draw.normal(size=(3, 72))))


def frame_batch(toy: FrameToy, count: int = 12, seed: int = 1) -> dict[str, Tensor]:
    """Stacks of few events with the toy's own classes as labels."""
    draw = np.random.default_rng(seed)
    counts = torch.from_numpy(draw.poisson(0.8, (count, *SHAPE))).float()
    images = CELLS.images(counts)
    return {"images": images, "labels": predictions(toy(images)), "keys": torch.arange(count)}
