"""A small network of products and sums only: its results cannot depend on the batch."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from spikeproof.attacks.lattice import ThreatModel, snap
from spikeproof.core.decision import predictions

SHAPE = (2, 2, 2)
CLASSES = 3


@dataclass(frozen=True)
class Toy:
    """logit_k = Σ_p a·(x_p − c)², added up pixel by pixel; estimator "flat" sees no class 2."""

    weights: Tensor
    centres: Tensor
    estimator: str = "true"
    name: str = "toy"
    estimators: tuple[str, ...] = ("true", "flat")

    def __call__(self, x: Tensor) -> Tensor:
        logits = []
        for a, c in zip(self.weights.flatten(1), self.centres.flatten(1), strict=True):
            total = torch.zeros_like(x[:, 0, 0, 0])
            for pixel, value in enumerate(x.flatten(1).unbind(1)):
                total = total + a[pixel] * (value - c[pixel]) * (value - c[pixel])
            logits.append(total)
        if self.estimator == "flat":
            logits[2] = logits[2].detach()
        return torch.stack(logits, dim=1)

    def using(self, estimator: str) -> "Toy":
        assert estimator in self.estimators
        return replace(self, estimator=estimator)


@pytest.fixture
def toy(rng: np.random.Generator) -> Toy:
    weights = torch.from_numpy(rng.normal(size=(CLASSES, *SHAPE)) * 8).float()
    centres = torch.from_numpy(rng.uniform(size=(CLASSES, *SHAPE))).float()
    return Toy(weights, centres)


@pytest.fixture
def batch(toy: Toy, rng: np.random.Generator) -> dict[str, Tensor]:
    """24 images with black and white pixels among them, all classified rightly."""
    levels = rng.choice([0, 255, *range(256)], size=(24, *SHAPE))
    images = snap(torch.from_numpy(levels).float() / 255)
    keys = torch.arange(100, 124)
    return {"images": images, "labels": predictions(toy(images)), "keys": keys}


@pytest.fixture
def threat() -> ThreatModel:
    return ThreatModel(epsilon=8 / 255)
