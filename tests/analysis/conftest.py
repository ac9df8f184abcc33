"""Functions whose gradient is known, and small networks."""

import pytest
import torch

from spikeproof.analysis.measure import Samples


class Linear:
    """Logits W·x, and the slope of their label's probability worked out by hand."""

    def __init__(self, classes: int = 4, pixels: int = 9) -> None:
        draw = torch.Generator().manual_seed(1)
        self.weight = torch.randn(classes, pixels, generator=draw)
        self.weight[:, :3] = 0.25

    def __call__(self, x):
        return x.flatten(1) @ self.weight.T

    def slope(self, x, labels):
        """f·(1 − f)·(w_y − w_ỹ), sample by sample."""
        rows = []
        for image, label in zip(x, labels.tolist(), strict=True):
            logits = self(image[None])[0].tolist()
            rival = max((k for k in range(len(logits)) if k != label), key=lambda k: logits[k])
            f = 1 / (1 + 2.718281828459045 ** (logits[rival] - logits[label]))
            rows.append(f * (1 - f) * (self.weight[label] - self.weight[rival]))
        return torch.stack(rows).view_as(x)


@pytest.fixture
def linear() -> Linear:
    return Linear()


@pytest.fixture
def samples() -> Samples:
    """Seventy 3x3 images of four classes: more than one batch."""
    draw = torch.Generator().manual_seed(2)
    labels = torch.randint(0, 4, (70,), generator=draw)
    return Samples(images=torch.rand((70, 1, 3, 3), generator=draw), labels=labels)
