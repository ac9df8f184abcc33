"""Accuracy against epsilon, white-box: does a large enough ball break everything?"""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool

from ..attacks.lattice import LEVELS, ThreatModel
from ..attacks.suite import attack_named
from ..attacks.target import Target
from .config import CURVE_ATTACK
from .samples import Samples


def unbroken(
    target: Target,
    samples: Samples,
    *,
    level: int,
    estimators: tuple[str, ...],
    is_clean_right: Bool[np.ndarray, " N"],
    batch_size: int,
    seed: int,
    device: torch.device,
) -> Bool[np.ndarray, " N"]:
    """Which samples stand in the ball of so many levels, under PGD10 with every estimator.

    Broken samples leave, and those after them fill the batch: what a sample gets depends on it
    alone, so the result is that of attacking every sample with everything. Any visited point
    counts.

    Args:
        target: The model under attack.
        samples: What to attack.
        level: Epsilon in levels of 255; 0 is the clean accuracy.
        estimators: Spike derivatives to try, one after the other.
        is_clean_right: Which samples stand without an attack.
        batch_size: Of the padded batches.
        seed: Of the random starts.
        device: Where the target runs.
    """
    standing = is_clean_right.copy()
    threat = ThreatModel(epsilon=level / LEVELS)
    for estimator in estimators if level else ():
        if not standing.any():
            break
        attack = replace(attack_named(CURVE_ATTACK), estimator=estimator)
        fooled = []
        for batch in samples.where(standing).batches(batch_size, device=device):
            attempt = attack(
                target,
                batch.images,
                batch.labels,
                threat=threat,
                keys=batch.keys,
                seed=seed,
                stop_when_all_fooled=True,
            )
            fooled.append(attempt.fooled_any[: batch.count].cpu().numpy())
        standing[standing] = ~np.concatenate(fooled)
    return standing
