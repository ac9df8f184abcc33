"""Weights too large for float32's exact sums, as a sum of parts that are not."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from .exact_sums import FLOAT32_EXACT, SHORT_EXACT


@dataclass(frozen=True)
class Part:
    """A share of a convolution's weights: the whole is the sum of `scale` times each part.

    Args:
        weight: Weights whose sums float32 holds exactly.
        scale: A power of two.
        channels: Which output channels it adds to.
    """

    weight: Tensor
    scale: int
    channels: Tensor | slice


def split(
    weight: Int[np.ndarray, "O I kH kW"], *, peak: int, groups: int, device: torch.device
) -> list[Part]:
    """Weights w = low + 2ᵇ·high, so that float32 sums low and high exactly; none if it cannot.

    Two float32 convolutions take less than half the time of one in float64. Only those output
    channels are split whose sums need it.
    """
    w = weight.astype(np.int64)
    for bits in range(8, 0, -1):
        half = 1 << (bits - 1)
        low = np.where(_exact_rows(w, peak), w, ((w + half) & (2 * half - 1)) - half)
        high = (w - low) >> bits
        if _exact_rows(low, peak).all() and _exact_rows(high, peak).all():
            break
    else:
        return []
    rows = np.flatnonzero(high.reshape(len(high), -1).any(axis=1))
    # Groups go by the place of a channel, so none may be left out.
    channels = torch.from_numpy(rows).to(device) if groups == 1 else slice(None)
    kept = high[rows] if groups == 1 else high
    first, second = (torch.from_numpy(part).to(device, torch.float32) for part in (low, kept))
    return [
        Part(first, 1, slice(None)),
        *([Part(second, 1 << bits, channels)] if len(rows) else []),
    ]


def _exact_rows(weight: np.ndarray, peak: int) -> np.ndarray:
    """Whether float32 sums each output channel exactly, whatever its short cuts."""
    size = np.abs(weight).reshape(len(weight), -1)
    short = np.maximum(size.max(axis=1, initial=0), peak) <= SHORT_EXACT
    exact = short & (size.sum(axis=1) * peak < FLOAT32_EXACT)
    return exact.reshape(-1, *(1 for _ in weight.shape[1:]))
