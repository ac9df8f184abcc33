"""How often does an audit of sound models raise an alarm, and one of masked models none?

Sound are networks differentiated exactly (on digits, from several seeds, in
balls from tiny to large), and spiking networks that are attacked as everywhere else. What is
counted is models: both sides of every audit.
"""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from harness import Goal, one_thread, report

from spikeproof.audit.config import AuditConfig
from spikeproof.audit.plan import Plan
from spikeproof.audit.rules import RULES
from spikeproof.audit.validate import run
from spikeproof.datasets.images import ImageData, load
from spikeproof.tests.audit.planted import MASKS, Planted, trained
from spikeproof.train.checkpoint import load as load_checkpoint
from spikeproof.train.config import change
from spikeproof.train.loop import run as train
from spikeproof.train.presets import preset
from spikeproof.train.target import NetworkTarget

EPSILONS = (4 / 255, 16 / 255, 25 / 255)
SEEDS = range(8)
SPIKING = ("vanilla", "srstar")
SPIKING_EPOCHS = 4
SAMPLES = 100
CURVE = (0, 8, 25, 64, 128, 255)


def audited(data: ImageData, pair: tuple[Any, Any], *, epsilon: float, part: int) -> dict[str, Any]:
    """An audit of two models on one hundred test images, other ones a part."""
    chosen = slice(part * SAMPLES, (part + 1) * SAMPLES)
    with tempfile.TemporaryDirectory() as folder:
        return run(
            Plan.of(
                AuditConfig(epsilon=epsilon, batch_size=SAMPLES, curve=CURVE, continuous=False),
                float_target=pair[0],
                hardware_target=pair[1],
                images=data.test_images[chosen],
                labels=data.test_labels[chosen],
            ),
            out=Path(folder) / "audit.json",
            context={},
        ).audit


def raised(audit: dict[str, Any]) -> list[str]:
    """Names of the alarms raised, once for each model."""
    return [alarm["name"] for alarm in audit["alarms"] if alarm["raised"]]


def exact_audits(data: ImageData, mask: str, seeds: range) -> list[dict[str, Any]]:
    """Audits of pairs of ordinary networks behind a mask."""
    images = torch.from_numpy(data.train_images).to(torch.float32) / 255
    labels = torch.from_numpy(data.train_labels)
    found = []
    for seed in seeds:
        pair = [Planted(trained(images, labels, seed=2 * seed + k), mask) for k in range(2)]
        for epsilon in EPSILONS if mask == "sound" else EPSILONS[-1:]:
            found.append(audited(data, (pair[0], pair[1]), epsilon=epsilon, part=seed % 3))
    return found


def spiking_audits(data: ImageData) -> list[dict[str, Any]]:
    """Audits of pairs of spiking networks that differ in seed and order of the data."""
    found = []
    for method in SPIKING:
        pair = [_spiking(data, method, seed) for seed in range(2)]
        found.append(audited(data, (pair[0], pair[1]), epsilon=EPSILONS[-1], part=0))
    return found


def _spiking(data: ImageData, method: str, seed: int) -> NetworkTarget:
    recipe = change(preset(f"digits-{method}"), {"seed": seed, "epochs": SPIKING_EPOCHS})
    with tempfile.TemporaryDirectory() as folder:
        train(recipe.train, recipe.network.network(data), data, Path(folder) / "run")
        return NetworkTarget(load_checkpoint(Path(folder) / "run"))


def main() -> None:
    """Audits sound and masked models, and counts."""
    one_thread()
    data = load("digits")
    sound = [*exact_audits(data, "sound", SEEDS), *spiking_audits(data)]
    counts = Counter(name for audit in sound for name in raised(audit))
    masked = {
        mask: [len(raised(a)) / 2 for a in exact_audits(data, mask, range(2))]
        for mask in MASKS
        if mask != "sound"
    }
    alarmed = sum(bool(raised(audit)) for audit in sound) / len(sound)
    fewest = min(min(found) for found in masked.values())
    report(
        "bench_alarm_rates",
        goals=[
            Goal(name="sound audits with any alarm", ratio=alarmed, at_most=0.05),
            Goal(name="fewest alarms on a masked model", ratio=fewest, at_least=3.0),
        ],
        details={
            "audits": len(sound),
            "models": 2 * len(sound),
            "raised": {rule.name: counts[rule.name] for rule in RULES},
            "masked": masked,
        },
    )


if __name__ == "__main__":
    main()
