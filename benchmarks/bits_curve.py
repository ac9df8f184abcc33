r"""How much robustness do 8, 6, 4, 3 and 2 bits a weight keep, with and without fine-tuning?

For a checkpoint: its chip at each number of bits, plain and fine-tuned on the chip itself, and the
float network as it is and fine-tuned as long. Each is attacked white box (PGD10 and APGD10 as
published, four estimators, on the uint8 lattice); attacks on the float network are also carried
over to every chip. Writes `OUT.json` and `OUT.md`; finished parts are kept in `--work`.

    python benchmarks/bits_curve.py CHECKPOINT --data digits --epsilon 0.1 \
        --work runs/bits --out docs/results/bits_digits

Recordings are shown as the frames that the network was trained on.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bits_page import prose, table

from spikeproof.attacks.attack import Attack
from spikeproof.attacks.lattice import ThreatModel
from spikeproof.attacks.loss import is_fooled
from spikeproof.attacks.suite import crossed, suite_named
from spikeproof.attacks.target import Target
from spikeproof.audit.cascade import Cascade
from spikeproof.audit.deployed import cells_of
from spikeproof.audit.samples import Samples
from spikeproof.audit.statistics import difference, mcnemar_exact, pairs, share, survival
from spikeproof.core.errors import ConfigError
from spikeproof.core.files import atomic_path, read_json, sha256, write_json, write_text
from spikeproof.core.record import versions
from spikeproof.datasets.frames import FrameConfig
from spikeproof.datasets.images import ImageData, fingerprint, load
from spikeproof.deploy.deployment import Calibration, DeployConfig, frames_of, to_integers
from spikeproof.deploy.finetune import Tuning, finetune, recipe
from spikeproof.deploy.quantize import Precision
from spikeproof.deploy.scale import SearchConfig
from spikeproof.export.to_nir import to_nir
from spikeproof.sim.classifier import TwinClassifier
from spikeproof.sim.graph.file import write_nir
from spikeproof.sim.program_file import read_program, write_program
from spikeproof.train.checkpoint import checkpoint_file
from spikeproof.train.checkpoint import load as load_checkpoint
from spikeproof.train.config import TrainConfig
from spikeproof.train.loop import run as train
from spikeproof.train.target import NetworkTarget
from spikeproof.train.training import parts

SUITE = suite_named("paper")
ATTACKS = crossed(("pgd10", "apgd10"), SUITE.estimators)
GOALS = {8: 0.98, 4: 0.95, 3: 0.85}
"""Least survival that fine-tuned chips are to reach, by bits."""
CPU = torch.device("cpu")
Standing = np.ndarray
"""Which samples are right under everything, bool [N]."""


def options() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, required=True, help="without suffix")
    parser.add_argument("--work", type=Path, required=True, help="folder of finished parts")
    parser.add_argument("--epsilon", type=float, default=8 / 255)
    parser.add_argument("--samples", type=int, default=1000, help="first test samples")
    parser.add_argument("--bits", type=int, nargs="+", default=[8, 6, 4, 3, 2])
    parser.add_argument("--epochs", type=int, default=1, help="of fine-tuning")
    parser.add_argument("--limit", type=int, help="first training samples that tuning sees")
    parser.add_argument("--rate", type=float, default=0.01, help="learning rate at the start")
    parser.add_argument("--batch-size", type=int, default=64, help="of attacks")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """What all parts share.

    Args:
        given: The command line.
        data: Fine-tuning sees its training part, attacks the first samples of its test part.
        tuning: How is fine-tuned, chip and float network alike but for h.
        frames: How recordings become what the network takes; None for one that takes images.
    """

    given: argparse.Namespace
    data: ImageData
    tuning: TrainConfig
    frames: FrameConfig | None

    @property
    def threat(self) -> ThreatModel:
        """What an attack may show; frames of recordings end at their cap."""
        return ThreatModel(epsilon=self.given.epsilon, lattice=True, cells=cells_of(self.frames))

    @property
    def samples(self) -> Samples:
        """The first test samples."""
        return Samples.of(self.data.test_images, self.data.test_labels, wanted=self.given.samples)

    @property
    def learnt_from(self) -> ImageData:
        """What fine-tuning and the scale search may see of the data; test samples play no part."""
        return self.data if self.given.limit is None else self.data.first(self.given.limit)

    def standing(self, target: Target) -> dict[str, Standing]:
        """Right clean, and after every attack on the target itself."""
        cascade = Cascade(
            target=target,
            samples=self.samples,
            threat=self.threat,
            batch_size=self.given.batch_size,
            seed=self.given.seed,
            device=CPU,
            as_published=SUITE.as_published,
        )
        clean = self.right(target, None)
        return {"clean": clean, "white_box": cascade.survivors(ATTACKS, clean)}

    def right(self, target: Target, points: np.ndarray | None) -> Standing:
        """Where a target is right on points [N, C, H, W], or on the samples themselves."""
        found = []
        for number, batch in enumerate(self.samples.batches(self.given.batch_size, device=CPU)):
            kept = slice(batch.count)
            first = number * self.given.batch_size
            images = batch.images
            if points is not None:
                images = images.clone()
                images[kept] = torch.from_numpy(points[first : first + batch.count])
            with torch.no_grad():
                found.append((~is_fooled(target(images), batch.labels))[kept].numpy())
        return np.concatenate(found)

    def points(self, source: Target, attack: Attack) -> np.ndarray:
        """Points of largest loss of one attack, for every sample."""
        found = []
        for batch in self.samples.batches(self.given.batch_size, device=CPU):
            attempt = attack(
                source,
                batch.images,
                batch.labels,
                threat=self.threat,
                keys=batch.keys,
                seed=self.given.seed,
            )
            found.append(attempt.images[: batch.count].numpy())
        return np.concatenate(found)


def kept(path: Path, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays of a finished part; computed and written where they are missing."""
    if not path.is_file():
        found = compute()
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **found)
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def said(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def chips(curve: Curve, nir_file: Path) -> dict[str, tuple[TwinClassifier, dict[str, Any]]]:
    """By name, the chip at each number of bits, plain and fine-tuned, and what was done to it."""
    found = {}
    for bits in sorted(curve.given.bits, reverse=True):
        plain, tuned = (curve.given.work / f"{kind}-{bits}.h5" for kind in ("plain", "tuned"))
        note = curve.given.work / f"tuned-{bits}.json"
        if not note.is_file():
            made = to_integers(
                DeployConfig(bits=bits, seed=curve.given.seed, search=_search(curve)),
                nir_file,
                calibration=_held(curve),
            )
            write_program(plain, made.program)
            outcome = finetune(
                made.network,
                Tuning(
                    data=curve.learnt_from,
                    folder=curve.given.work / f"training-{bits}",
                    resume=(curve.given.work / f"training-{bits}" / "config.json").is_file(),
                ),
                config=curve.tuning,
                precision=Precision(bits=bits),
                scales=made.scales,
            )
            write_program(tuned, outcome.program)
            assert made.search is not None
            write_json(note, {"factors": made.search.factors, "finetuning": outcome.record})
        said(f"{bits} bits: {_brief(note)}")
        for kind, path in (("plain", plain), ("tuned", tuned)):
            chip = TwinClassifier(read_program(path), using="triangle")
            found[f"{kind}-{bits}"] = chip, read_json(note) if kind == "tuned" else {}
    return found


def _brief(note: Path) -> str:
    record = read_json(note)["finetuning"]
    return f"before {record['before']}, kept {record['kept']}"


def _search(curve: Curve) -> SearchConfig:
    return SearchConfig(epsilon=curve.given.epsilon, seed=curve.given.seed)


def _held(curve: Curve) -> Calibration:
    """What fine-tuning holds out: scales are searched on it."""
    _, held = parts(curve.learnt_from, curve.tuning)
    assert held is not None
    return Calibration(images=held.images, labels=held.labels, source=curve.given.data)


def tuned_float(curve: Curve) -> NetworkTarget:
    """The float network fine-tuned as long, by the same recipe."""
    folder = curve.given.work / "training-float"
    if not (folder / "done").is_file():
        train(
            curve.tuning,
            load_checkpoint(curve.given.checkpoint).train(),
            curve.learnt_from,
            folder,
            resume=(folder / "config.json").is_file(),
        )
        write_text(folder / "done", "")
    return NetworkTarget(load_checkpoint(folder))


def measure(curve: Curve) -> dict[str, Any]:
    """All rows."""
    work = curve.given.work
    network = load_checkpoint(curve.given.checkpoint)
    source = NetworkTarget(network)
    made = chips(curve, work / "model.nir")
    floats = {"float": source, "float-tuned": tuned_float(curve)}
    targets = {**floats, **{name: chip for name, (chip, _) in made.items()}}
    standing = {}
    for name, target in targets.items():
        standing[name] = kept(work / f"on-{name}.npz", lambda t=target: curve.standing(t))
        said(
            f"{name}: clean {standing[name]['clean'].mean():.3f}, "
            f"white box {standing[name]['white_box'].mean():.3f}"
        )
    carried = _carried(curve, source, {n: t for n, t in targets.items() if n not in floats})
    rows = {
        name: _row(standing, carried, name) | {"how": made[name][1] if name in made else {}}
        for name in targets
    }
    return {"rows": rows, "goals": _goals(rows)}


def _carried(curve: Curve, source: Target, targets: dict[str, Target]) -> dict[str, Standing]:
    """By chip, who is right clean and at the end point of every attack on the float network."""
    left = {name: curve.right(target, None) for name, target in targets.items()}
    for attack in ATTACKS:
        name = f"carried-{attack.name}-{attack.estimator}.npz"
        points = kept(curve.given.work / name, lambda a=attack: {"x": curve.points(source, a)})
        for chip, target in targets.items():
            left[chip] &= curve.right(target, points["x"])
        said(f"{attack.name} under {attack.estimator} carried over")
    return left


def _row(
    standing: dict[str, dict[str, Standing]], carried: dict[str, Standing], name: str
) -> dict[str, Any]:
    ours = standing[name]["white_box"]
    found: dict[str, Any] = {
        "clean": asdict(share(standing[name]["clean"])),
        "white_box": asdict(share(ours)),
    }
    if name in carried:
        found["transfer_from_float"] = asdict(share(carried[name]))
    for reference in ("float", "float-tuned"):
        table = pairs(standing[reference]["white_box"], ours)
        found[f"against_{reference}"] = {
            "survival": asdict(survival(table)),
            "difference": asdict(difference(table)),
            "mcnemar_p": mcnemar_exact(table),
        }
    return found


def _goals(rows: dict[str, Any]) -> list[dict[str, Any]]:
    """Survival of the fine-tuned chips against the float network, and whether it is enough."""
    found = []
    for bits, least in GOALS.items():
        if f"tuned-{bits}" in rows:
            got = rows[f"tuned-{bits}"]["against_float"]["survival"]
            is_met = got["value"] is not None and got["value"] >= least
            found.append({"bits": bits, "at_least": least, "survival": got, "is_met": is_met})
    return found


def main() -> None:
    """Measures, and writes what was found."""
    torch.set_num_threads(1)
    given = options()
    given.work.mkdir(parents=True, exist_ok=True)
    model = given.work / "model.nir"
    write_nir(model, to_nir(load_checkpoint(given.checkpoint)))
    frames = frames_of(model)
    data = load(given.data, frames=frames)
    base = _recipe_of(given.checkpoint)
    tuning = recipe(given.epochs, epsilon=given.epsilon, seed=given.seed, base=base)
    tuning = replace(tuning, learning_rate=given.rate)
    curve = Curve(given=given, data=data, tuning=tuning, frames=frames)
    asked = _identity(curve)
    record = {
        "command": shlex.join(["python", "benchmarks/bits_curve.py", *sys.argv[1:]]),
        **asked,
        "versions": _started(given.work, asked),
        **(result := measure(curve)),
    }
    write_json(given.out.with_suffix(".json"), record)
    write_text(given.out.with_suffix(".md"), prose(asked, result))
    print(table(result))


def _identity(curve: Curve) -> dict[str, Any]:
    """Everything that decides what a finished part holds."""
    given = curve.given
    learn, held = parts(curve.learnt_from, curve.tuning)
    return {
        "checkpoint_sha256": sha256(checkpoint_file(given.checkpoint)),
        "data": {"name": curve.data.name, "sha256": fingerprint(curve.data)},
        "n": len(curve.samples),
        "epsilon": given.epsilon,
        "attacks": [f"{attack.name} under {attack.estimator}" for attack in ATTACKS],
        "tuning": curve.tuning.to_dict(),
        "estimators": list(SUITE.estimators),
        "images": {"learnt from": len(learn), "held out": len(held or ())},
        "limit": given.limit,
        "batch_size": given.batch_size,
        "seed": given.seed,
    }


def _started(work: Path, asked: dict[str, Any]) -> dict[str, str]:
    """Versions that the parts in a folder are made with; refuses parts of another curve."""
    note, plain = work / "started.json", json.loads(json.dumps(asked))
    if not note.is_file():
        write_json(note, {"asked": plain, "versions": versions()})
    found = read_json(note)
    if found["asked"] != plain:
        raise ConfigError(
            f"expected the parts of this curve in {work}, got those of another; name another folder"
        )
    return found["versions"]


def _recipe_of(checkpoint: Path) -> TrainConfig:
    """How a checkpoint was trained."""
    return TrainConfig(**read_json(checkpoint_file(checkpoint).parent / "config.json")["train"])


if __name__ == "__main__":
    main()
