"""Trains as rows of memory: loops over steps do not care how the axes of a step are ordered."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Shaped
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Shape of a step, and whether its channels lie next to each other in memory.

    Args:
        shape: Of a step, `(N, *neurons)`.
        is_last: Whether memory holds it as `N H W C`.
    """

    shape: torch.Size
    is_last: bool

    @classmethod
    def of(cls, train: Shaped[Tensor, "T *axes"]) -> "Layout":
        """That of a train; steps that share their memory (`expand`) have one too."""
        shape, last = train.shape[1:], torch.channels_last
        is_last = (
            train.ndim == 5
            and len(train) > 0
            and not train[0].is_contiguous()
            and train[0].is_contiguous(memory_format=last)
        )
        return cls(shape=shape, is_last=is_last)

    def rows(self, train: Shaped[Tensor, "t *axes"]) -> Shaped[Tensor, "t M"]:
        """A step a row, in the order of memory: a view of a train of this layout, else a copy."""
        ordered = train.permute(0, 1, 3, 4, 2) if self.is_last else train
        return ordered.reshape(len(train), math.prod(self.shape))

    def train(self, rows: Shaped[Tensor, "t M"]) -> Shaped[Tensor, "t *axes"]:
        """The same memory with the axes of a train."""
        if not self.is_last:
            return rows.view(len(rows), *self.shape)
        count, channels, height, width = self.shape
        return rows.view(len(rows), count, height, width, channels).permute(0, 1, 4, 2, 3)
