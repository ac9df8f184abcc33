"""A few adversarial images to look at: the worst for the chip, and typical ones."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from ..attacks.lattice import LEVELS
from ..attacks.target import Target
from ..core.decision import predictions
from .again import VICTIM, Member, again, on_events
from .config import AuditConfig
from .ledger import SIDES, SUITE, Ledger, white_box
from .pictures import PNG_COLOURS, frame_pictures, image_pictures
from .samples import Samples

EACH = 2
"""So many worst and so many typical ones."""


def examples(
    config: AuditConfig,
    ledger: Ledger,
    samples: Samples,
    targets: Mapping[str, Target],
    *,
    device: torch.device,
) -> list[dict[str, Any]]:
    """Samples that fool the chip: those of largest loss, and those around the middle.

    Found again by the attack that fooled a sample with the largest loss, of recordings by one that
    changes whole events where the suite has any; nothing where nothing fools. What pursued the
    samples that others left keeps no loss and is not shown.
    """
    if config.cells is None and samples.images.shape[1] not in PNG_COLOURS:
        return []
    members, losses = _losses(ledger)
    worst = losses.max(axis=0)
    fooled = np.flatnonzero(ledger.clean_right[VICTIM] & np.isfinite(worst))
    ranked = fooled[np.argsort(-worst[fooled], kind="stable")]
    middle = max(len(ranked) // 2, EACH)
    chosen = {"worst": ranked[:EACH], "typical": ranked[middle : middle + EACH]}
    found = []
    for kind, places in chosen.items():
        for place in places.tolist():
            sample, attack = samples.at(np.array([place])), members[losses[:, place].argmax()]
            found.append(_example(kind, config, sample, targets, attack, device))
    return found


def _losses(ledger: Ledger) -> tuple[list[Member], np.ndarray]:
    """The suite's attacks that kept a loss, and it by attack and sample: −∞ where none fooled."""
    found = {}
    for member in on_events(ledger) or ledger.members(SUITE, VICTIM, VICTIM):
        where = white_box(VICTIM, *member)
        loss = ledger.loss(**where)
        if not np.isnan(loss).any():
            found[member] = np.where(ledger.fooled_any(**where), loss, -np.inf)
    return list(found), np.stack(list(found.values()))


def _example(
    kind: str,
    config: AuditConfig,
    sample: Samples,
    targets: Mapping[str, Target],
    found_by: Member,
    device: torch.device,
) -> dict[str, Any]:
    batch = sample.batch(0, config.batch_size, device=device)
    shown = batch.images, again(config, found_by, batch, targets[VICTIM]).shown
    clean, adversarial = (_levels(images) for images in shown)
    return {
        "kind": kind,
        "sample": int(sample.keys[0]),
        "label": int(sample.labels[0]),
        "attack": " ".join(filter(None, found_by)),
        "said": {side: [_said(targets[side], x) for x in shown] for side in SIDES},
        **_shown(config, clean, adversarial),
    }


def _shown(config: AuditConfig, clean: np.ndarray, adversarial: np.ndarray) -> dict[str, Any]:
    """Pictures; of recordings also how many events were changed."""
    if config.cells is None:
        reach = max(config.threat.levels, 1)
        return {"images": image_pictures(clean, adversarial, reach=reach)}
    changed = np.abs(adversarial.astype(int) - clean).sum() / config.cells.unit
    pictures = frame_pictures(clean, adversarial, steps=config.cells.steps)
    return {"images": pictures, "events": float(changed)}


def _said(target: Target, images: torch.Tensor) -> int:
    with torch.no_grad():
        return int(predictions(target(images))[0])


def _levels(images: torch.Tensor) -> UInt8[np.ndarray, "C H W"]:
    return (images[0] * LEVELS).round().to(torch.uint8).cpu().numpy()
