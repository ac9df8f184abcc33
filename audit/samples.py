"""The images under audit, cut into batches of one fixed size."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from ..attacks.attack import Attack
from ..attacks.lattice import LEVELS, ThreatModel, snap
from ..attacks.loss import is_fooled
from ..attacks.target import Target
from ..attacks.trial import Attempt
from ..core.errors import DataError


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """`count` samples, padded with copies of the first one to the size of every other batch."""

    images: Float[Tensor, "B C H W"]
    labels: Int64[Tensor, " B"]
    keys: Int64[Tensor, " B"]
    count: int

    def under(
        self,
        attack: Attack,
        target: Target,
        *,
        threat: ThreatModel,
        seed: int,
        stop_when_all_fooled: bool = False,
    ) -> Attempt:
        """What an attack on a model finds for each of them, padding included."""
        return attack(
            target,
            self.images,
            self.labels,
            threat=threat,
            keys=self.keys,
            seed=seed,
            stop_when_all_fooled=stop_when_all_fooled,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Images with labels and keys.

    Args:
        images: On the uint8 lattice.
        labels: Their classes.
        keys: Index of each in the official test order: its name, and what its random draws use.

    Raises:
        DataError: If there are none, or the arrays do not fit together.
    """

    images: UInt8[np.ndarray, "N C H W"]
    labels: Int64[np.ndarray, " labels"]
    keys: Int64[np.ndarray, " keys"]

    def __post_init__(self) -> None:
        lengths = {len(self.images), len(self.labels), len(self.keys)}
        if len(lengths) != 1 or 0 in self.images.shape:
            raise DataError(
                f"expected one label and one key an image, and one image at least, got "
                f"{list(self.images.shape)} images, {len(self.labels)} labels, "
                f"{len(self.keys)} keys; check the data"
            )
        if len(np.unique(self.keys)) != len(self.keys):
            raise DataError("expected each sample once, got repeated keys; number the samples")

    @classmethod
    def of(
        cls,
        images: UInt8[np.ndarray, "N C H W"],
        labels: Int64[np.ndarray, " labels"],
        *,
        wanted: int | None,
    ) -> "Samples":
        """The first images of a test set in their official order; all where `wanted` is None.

        Raises:
            DataError: If there are fewer, or images and labels do not fit.
        """
        wanted = len(images) if wanted is None else wanted
        if wanted > len(images):
            raise DataError(
                f"expected at least {wanted} test images, got {len(images)}; ask for fewer samples"
            )
        if len(images) != len(labels):
            raise DataError(
                f"expected one label an image, got {len(images)} images and {len(labels)} labels; "
                "check the data"
            )
        keys = np.arange(wanted, dtype=np.int64)
        return cls(images=images[:wanted], labels=labels[:wanted], keys=keys)

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def entries(self) -> int:
        """Of an image: C·H·W."""
        return int(np.prod(self.images.shape[1:]))

    def where(self, is_chosen: Bool[np.ndarray, " N"]) -> "Samples":
        """Those that the mask chooses, in order.

        Raises:
            DataError: If it chooses none.
        """
        return self.at(np.flatnonzero(is_chosen))

    def at(self, places: Int64[np.ndarray, " chosen"]) -> "Samples":
        """Those at these places, in their order.

        Raises:
            DataError: If there are none.
        """
        return Samples(
            images=self.images[places], labels=self.labels[places], keys=self.keys[places]
        )

    def first(self, count: int) -> "Samples":
        """The first `count`, or all where there are fewer."""
        return self.where(np.arange(len(self)) < count)

    def batch_count(self, size: int) -> int:
        """How many batches of `size` hold all samples."""
        return -(-len(self) // size)

    def batch(self, number: int, size: int, *, device: torch.device) -> Batch:
        """One batch, padded to `size`.

        Float convolutions differ in the last bit between batch sizes, which flips spikes: a batch
        that is not full must not be smaller.
        """
        rows = np.arange(number * size, min((number + 1) * size, len(self)))
        padded = np.concatenate([rows, np.repeat(rows[:1], size - len(rows))])
        images = torch.from_numpy(self.images[padded]).to(device)
        return Batch(
            images=snap(images.to(torch.float32) / LEVELS),
            labels=torch.from_numpy(self.labels[padded]).to(device),
            keys=torch.from_numpy(self.keys[padded]).to(device),
            count=len(rows),
        )

    def right(self, target: Target, *, size: int, device: torch.device) -> Bool[np.ndarray, " N"]:
        """Which a model gets right without an attack, shown in batches of `size`."""
        found = []
        for batch in self.batches(size, device=device):
            with torch.no_grad():
                fooled = is_fooled(target(batch.images), batch.labels)
            found.append((~fooled)[: batch.count].cpu().numpy())
        return np.concatenate(found)

    def batches(self, size: int, *, device: torch.device) -> Iterator[Batch]:
        """All samples in order, in padded batches."""
        for number in range(self.batch_count(size)):
            yield self.batch(number, size, device=device)
