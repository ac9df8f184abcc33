"""What does an audit save by leaving broken samples alone, and what does the chip's model cost?

PGD10 under four estimators, as a cascade and with every sample in every setting: forward passes
(padding included), seconds, and whether both say the same of every sample. Then the same attack
through the integer twin and through the float network.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from harness import Goal, alternating, hold_memory, one_thread, ratio, report

from spikeproof.attacks.lattice import ThreatModel
from spikeproof.attacks.loss import cross_entropy
from spikeproof.attacks.suite import PUBLISHED_ESTIMATORS, attack_named
from spikeproof.attacks.target import Target
from spikeproof.audit.cascade import Cascade
from spikeproof.audit.samples import Samples
from spikeproof.core.decision import predictions
from spikeproof.datasets.images import ImageData, load
from spikeproof.deploy.bundle import read_bundle
from spikeproof.deploy.deployment import DeployConfig
from spikeproof.deploy.deployment import run as deploy
from spikeproof.export.verify import export_network
from spikeproof.sim.classifier import TwinClassifier
from spikeproof.train.checkpoint import load as load_checkpoint
from spikeproof.train.config import change
from spikeproof.train.loop import run as train
from spikeproof.train.presets import preset
from spikeproof.train.target import NetworkTarget

NETWORKS = {"fragile": ("vanilla", 4, 64 / 255), "robust": ("at", 4, 32 / 255)}
"""Method, epochs, epsilon: one that falls altogether, and one of which two thirds stand. What
stands has to meet every attack, so that no cascade costs less than its share."""
SAMPLES, BATCH, ROUNDS = 200, 25, 3
ENSEMBLE = [replace(attack_named("pgd10-scaled"), estimator=name) for name in PUBLISHED_ESTIMATORS]


def trained(data: ImageData, method: str, epochs: int, folder: Path) -> tuple[Target, Target]:
    """A float network and its chip."""
    recipe = change(preset(f"digits-{method}"), {"epochs": epochs})
    train(recipe.train, recipe.network.network(data), data, folder / "run")
    network = load_checkpoint(folder / "run")
    images = torch.from_numpy(data.train_images[:16])
    export_network(network, folder / "model.nir", images=images)
    deploy(DeployConfig(golden=1), folder / "model.nir", folder / "bundle")
    return NetworkTarget(network), TwinClassifier(read_bundle(folder / "bundle").program)


def pursuit(target: Target, data: ImageData, epsilon: float, batch: int = BATCH) -> Cascade:
    """The first test images on a target."""
    return Cascade(
        target=target,
        samples=Samples(
            images=data.test_images[:SAMPLES],
            labels=data.test_labels[:SAMPLES],
            keys=np.arange(SAMPLES),
        ),
        threat=ThreatModel(epsilon=epsilon),
        batch_size=batch,
        seed=0,
        device=torch.device("cpu"),
    )


def clean(target: Target, data: ImageData) -> tuple[np.ndarray, np.ndarray]:
    """Which test images are right without an attack, and their losses."""
    images = torch.from_numpy(data.test_images[:SAMPLES]).to(torch.float32) / 255
    labels = torch.from_numpy(data.test_labels[:SAMPLES])
    with torch.no_grad():
        logits = target(images)
    return (predictions(logits) == labels).numpy(), cross_entropy(logits, labels).numpy()


def everything(cascade: Cascade, right: np.ndarray) -> tuple[np.ndarray, int]:
    """Every sample in every setting to the end: who is left, and forward passes."""
    left, spent = right.copy(), 0
    for attack in ENSEMBLE:
        for batch in cascade.samples.batches(cascade.batch_size, device=cascade.device):
            attempt = attack(
                cascade.target,
                batch.images,
                batch.labels,
                threat=cascade.threat,
                keys=batch.keys,
                seed=cascade.seed,
            )
            kept = batch.keys[: batch.count].numpy()
            left[kept] &= ~attempt.fooled_any[: batch.count].numpy()
            spent += attempt.queries * len(batch.images)
    return left, spent


def pursued(cascade: Cascade, right: np.ndarray, loss: np.ndarray) -> tuple[np.ndarray, int]:
    """The same by cascade."""
    stages = list(cascade.after_each(ENSEMBLE, right, loss=loss))
    return stages[-1].left, sum(stage.passes for stage in stages)


def main() -> None:
    """Measures both networks and writes the record."""
    one_thread()
    hold_memory()
    data, goals, details = load("digits"), [], {}
    sides: list[tuple[str, Target]] = []
    epsilon, right = 0.0, np.zeros(SAMPLES, dtype=bool)
    for name, (method, epochs, epsilon) in NETWORKS.items():
        with tempfile.TemporaryDirectory() as folder:
            network, chip = trained(data, method, epochs, Path(folder))
        sides = [("float", network), ("chip", chip)]
        cascade, (right, loss) = pursuit(network, data, epsilon), clean(network, data)
        (left, passes), (again, fewer) = everything(cascade, right), pursued(cascade, right, loss)
        seconds = alternating(
            {
                "everything": lambda c=cascade, r=right: everything(c, r),
                "cascade": lambda c=cascade, r=right, k=loss: pursued(c, r, k),
            },
            rounds=ROUNDS,
            warm_up=0,
        )
        limit = {"fragile": 0.30, "robust": 0.75}[name]
        goals += [
            Goal(name=f"{name}: forward passes", ratio=fewer / passes, at_most=limit),
            Goal(
                name=f"{name}: seconds",
                ratio=ratio(seconds, "cascade", "everything"),
                at_most=limit,
            ),
            Goal(name=f"{name}: same verdict", ratio=float((left == again).mean()), at_least=1.0),
        ]
        details[name] = {
            "method": method,
            "epochs": epochs,
            "epsilon": epsilon,
            "clean": float(right.mean()),
            "robust": float(left.mean()),
            "passes": {"everything": passes, "cascade": fewer},
            "seconds": seconds,
        }
    white = alternating(
        {
            side: lambda t=target: everything(pursuit(t, data, epsilon), right)
            for side, target in sides
        },
        rounds=ROUNDS,
        warm_up=0,
    )
    goals.append(Goal(name="twin over float", ratio=ratio(white, "chip", "float"), at_most=2.0))
    report("bench_audit_cost", goals=goals, details={**details, "white_box_seconds": white})


if __name__ == "__main__":
    main()
