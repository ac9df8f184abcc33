"""Attacks one after the other on what still stands: broken samples leave, others take their place.

What a sample gets depends on it alone (`attacks.attack`), so who is broken in the end is who would
be broken if every attack met every sample, at a fraction of the cost.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool

from ..attacks.attack import Attack
from ..attacks.lattice import ThreatModel
from ..attacks.target import Target
from .samples import Samples


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
    """

    target: Target
    samples: Samples
    threat: ThreatModel
    batch_size: int
    seed: int
    device: torch.device

    def survivors(
        self, attacks: Sequence[Attack], standing: Bool[np.ndarray, " N"]
    ) -> Bool[np.ndarray, " N"]:
        """Which of the samples that stand are left by all attacks; any visited point counts."""
        left = standing
        for _, left, _ in self.after_each(attacks, standing):
            if not left.any():
                break
        return left

    def after_each(
        self, attacks: Sequence[Attack], standing: Bool[np.ndarray, " N"]
    ) -> Iterator[tuple[Attack, Bool[np.ndarray, " N"], int]]:
        """Each attack, which samples are left after it, and its forward passes, padding included.

        Args:
            attacks: In their order.
            standing: Which samples are worth attacking at all.
        """
        standing = standing.copy()
        for attack in attacks:
            spent = 0
            if standing.any():
                fooled, spent = self._fooled(attack, self.samples.where(standing))
                standing[standing] = ~fooled
            yield attack, standing.copy(), spent

    def _fooled(self, attack: Attack, samples: Samples) -> tuple[Bool[np.ndarray, " n"], int]:
        found, spent = [], 0
        for batch in samples.batches(self.batch_size, device=self.device):
            attempt = attack(
                self.target,
                batch.images,
                batch.labels,
                threat=self.threat,
                keys=batch.keys,
                seed=self.seed,
                stop_when_all_fooled=True,
            )
            found.append(attempt.fooled_any[: batch.count].cpu().numpy())
            spent += attempt.queries * len(batch.images)
        return np.concatenate(found), spent
