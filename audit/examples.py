"""A few adversarial images to look at: the worst for the chip, and typical ones."""

import base64
import struct
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from ..attacks.lattice import LEVELS
from ..attacks.suite import attack_named
from ..attacks.target import Target
from ..core.decision import predictions
from .config import AuditConfig
from .ledger import SIDES, SUITE, Ledger
from .samples import Samples

EACH = 2
"""So many worst and so many typical ones."""

VICTIM = SIDES[1]


def examples(
    config: AuditConfig,
    ledger: Ledger,
    samples: Samples,
    targets: Mapping[str, Target],
    *,
    device: torch.device,
) -> list[dict[str, Any]]:
    """Images that fool the chip: those of largest loss, and those around the middle.

    Found again by the attack that raised a sample's loss most; nothing for frames of events, which
    are no pictures, or where nothing fools.
    """
    if samples.images.shape[1] not in PNG_COLOURS:
        return []
    members, losses = _losses(ledger)
    worst = losses.max(axis=0)
    fooled = np.flatnonzero(ledger.clean_right[VICTIM] & ~ledger.standing(VICTIM))
    ranked = fooled[np.argsort(-worst[fooled], kind="stable")]
    middle = max(len(ranked) // 2, EACH)
    chosen = {"worst": ranked[:EACH], "typical": ranked[middle : middle + EACH]}
    found = []
    for kind, places in chosen.items():
        for place in places.tolist():
            sample, attack = samples.at(np.array([place])), members[losses[:, place].argmax()]
            found.append(_example(kind, config, sample, targets, attack, device))
    return found


def _losses(ledger: Ledger) -> tuple[list[tuple[str, str | None]], np.ndarray]:
    """The suite's attacks that kept a loss, and it by attack and sample."""
    found = {}
    for name, estimator in ledger.members(SUITE, VICTIM, VICTIM):
        where = {"role": SUITE, "source": VICTIM, "evaluated_on": VICTIM}
        loss = ledger.loss(**where, attack=name, estimator=estimator)
        if not np.isnan(loss).any():
            found[name, estimator] = loss
    return list(found), np.stack(list(found.values()))


def _example(
    kind: str,
    config: AuditConfig,
    sample: Samples,
    targets: Mapping[str, Target],
    found_by: tuple[str, str | None],
    device: torch.device,
) -> dict[str, Any]:
    batch = sample.batch(0, config.batch_size, device=device)
    name, estimator = found_by
    attempt = replace(attack_named(name), estimator=estimator, restarts=_restarts(config, name))(
        targets[VICTIM],
        batch.images,
        batch.labels,
        threat=config.threat,
        keys=batch.keys,
        seed=config.seed,
    )
    shown = batch.images, attempt.broken
    clean, adversarial = (_levels(images) for images in shown)
    change = adversarial.astype(int) - clean
    reach = max(config.threat.levels, 1)
    return {
        "kind": kind,
        "sample": int(sample.keys[0]),
        "label": int(sample.labels[0]),
        "attack": " ".join(filter(None, found_by)),
        "said": {side: [_said(targets[side], x) for x in shown] for side in SIDES},
        "images": {
            "clean": png(clean),
            "perturbation": png((127.5 + 127.5 * change / reach).astype(np.uint8)),
            "adversarial": png(adversarial),
        },
    }


def _restarts(config: AuditConfig, name: str) -> int:
    return config.restarts if attack_named(name).is_random else 1


def _said(target: Target, images: torch.Tensor) -> int:
    with torch.no_grad():
        return int(predictions(target(images))[0])


def _levels(images: torch.Tensor) -> UInt8[np.ndarray, "C H W"]:
    return (images[0] * LEVELS).round().to(torch.uint8).cpu().numpy()


PNG_COLOURS = {1: 0, 3: 2}
"""Channels, and what PNG calls them: grey, red green blue."""


def png(image: UInt8[np.ndarray, "C H W"]) -> str:
    """The picture as a `data:` address, which a page shows without asking anybody."""
    channels, height, width = image.shape
    rows = np.ascontiguousarray(image.transpose(1, 2, 0)).reshape(height, -1)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", width, height, 8, PNG_COLOURS[channels], 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    content = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
