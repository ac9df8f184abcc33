"""Accuracy against epsilon, white-box: does a large enough ball break everything?"""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool

from ..attacks.lattice import ThreatModel
from ..attacks.suite import attack_named
from ..attacks.target import Target
from .cascade import Cascade
from .config import CURVE_ATTACK
from .samples import Samples


def unbroken(
    target: Target,
    samples: Samples,
    *,
    threat: ThreatModel,
    epsilon: float,
    estimators: tuple[str, ...],
    is_clean_right: Bool[np.ndarray, " N"],
    batch_size: int,
    seed: int,
    device: torch.device,
) -> Bool[np.ndarray, " N"]:
    """Which samples stand in a ball, under PGD10 with every estimator.

    Args:
        target: The model under attack.
        samples: What to attack.
        threat: Whose radius is replaced.
        epsilon: Its radius; 0 is the clean accuracy.
        estimators: Spike derivatives to try, one after the other.
        is_clean_right: Which samples stand without an attack.
        batch_size: Of the padded batches.
        seed: Of the random starts.
        device: Where the target runs.
    """
    pursuit = Cascade(
        target=target,
        samples=samples,
        threat=replace(threat, epsilon=epsilon),
        batch_size=batch_size,
        seed=seed,
        device=device,
    )
    tried = [replace(attack_named(CURVE_ATTACK), estimator=name) for name in estimators]
    return pursuit.survivors(tried if epsilon else [], is_clean_right)
