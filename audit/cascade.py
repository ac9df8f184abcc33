"""Attacks one after the other on what still stands: broken samples leave, others take their place.

What a sample gets depends on it alone (`attacks.attack`), so who is broken in the end is who would
be broken if every attack met every sample, at a fraction of the cost.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from ..attacks.attack import Attack
from ..attacks.lattice import ThreatModel
from ..attacks.target import Target
from ..attacks.trial import Attempt
from .samples import Batch, Samples


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """One attack of a cascade, after it.

    Args:
        attack: Which one.
        left: Samples that stand after it and all before it.
        asked: Forward passes of each sample, until it was fooled; 0 where it did not take part.
        passes: Forward passes of the batches, padding included.
    """

    attack: Attack
    left: Bool[np.ndarray, " N"]
    asked: Int64[np.ndarray, " N"]
    passes: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Cascade:
    """A model, the samples that attacks pursue on it, and where.

    Args:
        target: The model under attack.
        samples: What to attack.
        threat: Which images are lawful.
        batch_size: Of the padded batches.
        seed: Of all random draws.
        device: Where the target runs.
        as_published: Whether an attack succeeds by its published definition, for most the last
            iterate alone; else at any visited point.
    """

    target: Target
    samples: Samples
    threat: ThreatModel
    batch_size: int
    seed: int
    device: torch.device
    as_published: bool = False

    def survivors(
        self, attacks: Sequence[Attack], standing: Bool[np.ndarray, " N"]
    ) -> Bool[np.ndarray, " N"]:
        """Which of the samples that stand are left by all attacks."""
        left = standing
        for stage in self.after_each(attacks, standing):
            left = stage.left
            if not left.any():
                break
        return left

    def after_each(
        self,
        attacks: Sequence[Attack],
        standing: Bool[np.ndarray, " N"],
        *,
        loss: Float[np.ndarray, " N"] | None = None,
    ) -> Iterator[Stage]:
        """Each attack with what it leaves.

        Args:
            attacks: In their order.
            standing: Which samples are worth attacking at all.
            loss: Largest loss that is known of each sample. Those of like loss share a batch: one
                whose samples are all fooled ends early. Decides the cost alone.
        """
        standing = standing.copy()
        loss = np.zeros(len(standing)) if loss is None else loss.astype(float)
        for attack in attacks:
            asked, passes = np.zeros(len(standing), dtype=np.int64), 0
            for places, batch in self._batches(standing, loss):
                attempt, fooled = self._meet(attack, batch)
                standing[places] = ~_kept(fooled, batch)
                asked[places] = _kept(attempt.asked, batch)
                loss[places] = np.maximum(loss[places], _kept(attempt.loss, batch))
                passes += attempt.queries * len(batch.images)
            yield Stage(attack=attack, left=standing.copy(), asked=asked, passes=passes)

    def _batches(self, standing: np.ndarray, loss: np.ndarray) -> list[tuple[np.ndarray, Batch]]:
        """Who stands, the largest loss first: places and batches."""
        chosen = np.flatnonzero(standing)
        if not len(chosen):
            return []
        chosen = chosen[np.argsort(-loss[chosen], kind="stable")]
        cuts = range(self.batch_size, len(chosen), self.batch_size)
        batches = self.samples.at(chosen).batches(self.batch_size, device=self.device)
        return list(zip(np.split(chosen, cuts), batches, strict=True))

    def _meet(self, attack: Attack, batch: Batch) -> tuple[Attempt, Bool[Tensor, " B"]]:
        """What the attack finds, and which samples count as fooled."""
        is_last = self.as_published and attack.counts_last
        attempt = batch.under(
            attack,
            self.target,
            threat=self.threat,
            seed=self.seed,
            stop_when_all_fooled=not is_last,
        )
        return attempt, attempt.fooled_last if is_last else attempt.fooled_any


def _kept(values: Tensor, batch: Batch) -> np.ndarray:
    """Those of the batch's samples, without its padding."""
    return values[: batch.count].cpu().numpy()
