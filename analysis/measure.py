"""Gradients and vulnerabilities over a data set, batch by batch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from ..attacks.lattice import LEVELS
from ..attacks.target import Network
from ..core.progress import SILENT, Tracker
from ..core.randomness import generator
from ..datasets.images import ImageData
from .gradients import Norms, label_gradient, label_probability, norms
from .vulnerability import (
    Vulnerability,
    VulnerabilityConfig,
    adversarial_vulnerability,
    random_vulnerability,
)

BATCH = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Images in [0, 1] `[N, C, H, W]` and their labels, on one device."""

    images: Float[Tensor, "N C H W"]
    labels: Int64[Tensor, " N"]
    is_simulated: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Place of the first sample, images and labels of each batch."""
        for first in range(0, len(self), BATCH):
            part = slice(first, first + BATCH)
            yield first, self.images[part], self.labels[part]


def first_test_samples(data: ImageData, count: int, *, device: str) -> Samples:
    """The first `count` test images of the official order."""
    images: UInt8[Tensor, "N C H W"] = torch.from_numpy(data.test_images[:count].copy())
    labels = torch.from_numpy(data.test_labels[:count])
    return Samples(
        images=images.to(device).float() / LEVELS,
        labels=labels.to(device),
        is_simulated=data.is_simulated,
    )


def measure_gradients(
    network: Network, samples: Samples, *, tracker: Tracker = SILENT
) -> Float[Tensor, "N C H W"]:
    """∇ₓ f_y at every sample."""
    found = []
    with tracker.task("gradients", len(samples)) as task:
        for _, images, labels in samples.batches():
            found.append(label_gradient(network, images, labels))
            task.advance(len(images))
    return torch.cat(found)


def measure_vulnerability(
    network: Network,
    samples: Samples,
    config: VulnerabilityConfig,
    *,
    tracker: Tracker = SILENT,
) -> tuple[Vulnerability, Norms]:
    """ρ_rand, ρ_adv and the gradient's norms at every sample; draws belong to the sample."""
    random, adversarial, gradients = [], [], []
    with tracker.task("vulnerability", len(samples)) as task:
        for first, images, labels in samples.batches():
            f, gradient = _at(network, images, labels)
            draws = [generator(config.seed, "cube", first + i) for i in range(len(images))]
            random.append(
                random_vulnerability(
                    f,
                    images,
                    epsilon=config.epsilon,
                    draws=draws,
                    count=config.draws,
                    norm=config.norm,
                )
            )
            adversarial.append(
                adversarial_vulnerability(
                    f,
                    images,
                    gradient,
                    epsilon=config.epsilon,
                    steps=config.steps,
                    norm=config.norm,
                )
            )
            gradients.append(gradient)
            task.advance(len(images))
    found = Vulnerability(random=torch.cat(random), adversarial=torch.cat(adversarial))
    return found, norms(torch.cat(gradients))


def density(
    gradient: Float[Tensor, "N *axes"], *, edges: Float[np.ndarray, " edges"]
) -> dict[str, Any]:
    """How the components are distributed: the area under `density` is the share within `edges`."""
    flat = gradient.detach().cpu().double().numpy().ravel()
    counts, _ = np.histogram(flat, bins=edges)
    return {
        "density": (counts / len(flat) / np.diff(edges)).tolist(),
        "share_within": float(counts.sum() / len(flat)),
        "share_zero": float((flat == 0).mean()),
    }


def common_edges(
    gradients: list[Float[Tensor, "N *axes"]], *, bins: int = 101, share: float = 0.999
) -> Float[np.ndarray, " edges"]:
    """Bins around 0 that hold `share` of the components of every network; 0 is inside a bin."""
    tops = [np.quantile(g.detach().abs().cpu().double().numpy(), share) for g in gradients]
    top = float(max(tops)) or 1.0
    return np.linspace(-top, top, bins + 1)


def heatmap(gradient: Float[Tensor, "N C H W"]) -> Float[np.ndarray, "N H W"]:
    """|∇f| summed over channels."""
    return gradient.detach().abs().sum(1).cpu().double().numpy()


def pictures(samples: Samples, *, are_frames: bool) -> Float[np.ndarray, "N H W C"]:
    """Samples to look at: images as they are, of frames all that a pixel counted, 1 at most."""
    images = samples.images
    if are_frames:
        counts = images.sum(1, keepdim=True)
        images = counts / counts.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1 / LEVELS)
    return images.permute(0, 2, 3, 1).cpu().numpy()


def _at(network: Network, images: Tensor, labels: Tensor) -> tuple[Any, Tensor]:
    return label_probability(network, images, labels), label_gradient(network, images, labels)
