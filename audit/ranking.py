"""Which spike derivatives find most on a network: tried before an audit, on other images.

Who is strongest differs from network to network. Tried on images that are not audited, the choice
cannot depend on which samples an audit has.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from ..attacks.suite import SHARPEST, attack_named, usable
from ..attacks.target import Target
from .config import AuditConfig
from .samples import Samples

TRIED = "pgd10-scaled"
IMAGES = 24
ALWAYS = ("assg",)
"""Learns over the steps of an attack, so that ten of them say too little of it."""

SURE, FOOLED = math.log(2), 1.0
"""Below a cross entropy of ln 2 an image is classified right; a fooled one counts for more."""

RULE = (
    f"{', '.join(ALWAYS)}; then one by one what raises most the mean over up to {IMAGES} other "
    f"images of the largest loss found by {TRIED}, counted up to ln 2, and as 1 where it fooled"
)


def ranking(
    config: AuditConfig, target: Target, samples: Samples | None, *, device: torch.device
) -> tuple[str, ...]:
    """Spike derivatives for the waves of a suite on a target, the strongest first.

    None for a suite without waves; those that the audit names, if it names some; all of them where
    the suite wants all or the target has no more than it wants; else by `RULE`, or without images
    as `SHARPEST` has them.

    Args:
        config: What to do.
        target: The model under attack.
        samples: Images that are not audited.
        device: Where the target runs.
    """
    if not config.attacks.waves:
        return ()
    wanted, offered = config.attacks.ranked, target.estimators
    if config.estimators is not None:
        return config.estimators
    if not wanted or len(offered) <= wanted:
        return offered
    if samples is None:
        return usable(SHARPEST, offered)
    found = {name: _losses(config, target, name, samples, device) for name in offered}
    return greedy(found, count=wanted, first=[name for name in ALWAYS if name in offered])


def greedy(
    found: dict[str, Float[np.ndarray, " N"]], *, count: int, first: Sequence[str] = ()
) -> tuple[str, ...]:
    """Names, each next the one that adds most to the mean of the greatest value; ties as given."""
    chosen = list(first)
    while len(chosen) < min(count, len(found)):
        least = np.full_like(next(iter(found.values())), -np.inf)
        reached = np.max([least, *(found[name] for name in chosen)], axis=0)
        left = [name for name in found if name not in chosen]
        chosen.append(max(left, key=lambda name: np.maximum(reached, found[name]).mean()))
    return tuple(chosen)


def _losses(
    config: AuditConfig, target: Target, name: str, samples: Samples, device: torch.device
) -> Float[np.ndarray, " N"]:
    """By image: what one estimator finds, as `RULE` counts it."""
    attack, found = replace(attack_named(TRIED), estimator=name), []
    for batch in samples.batches(min(IMAGES, len(samples)), device=device):
        attempt = batch.under(attack, target, threat=config.threat, seed=config.seed)
        counted = torch.where(attempt.fooled_any, FOOLED, attempt.loss.clamp(max=SURE))
        found.append(counted[: batch.count].double().cpu().numpy())
    return np.concatenate(found)
