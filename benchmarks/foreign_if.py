"""Does an integrate-and-fire network that Sinabs trained keep its accuracy on the chip at 8 bits?

    python benchmarks/foreign_if.py --sinabs FOLDER --data ../shared/data/NMNIST \
        --work runs/foreign-if --out docs/results/foreign_if

FOLDER is where `pip install --no-deps --target FOLDER sinabs==3.1.3 nir==1.0.4 nirtorch==1.0 pbr`
put them. Sinabs trains on 400 recordings of N-MNIST in 300 bins of equal time and writes the NIR
file itself, which states no time step, reset or encoding (`foreign_if_sinabs.py`, in a process of
its own; a network that lies in `--work` is used again). Everything after that is the command line
of spikeproof. Compared are the file in float64 and the chip, on the other 200 training recordings
and on the test part. Writes `OUT.json` and `OUT.md`.
"""

import argparse
import os
import shlex
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikeproof.audit.statistics import difference, pairs, share
from spikeproof.core.files import read_json, sha256, write_json, write_text
from spikeproof.core.record import versions
from spikeproof.datasets.frames import FrameConfig
from spikeproof.datasets.images import load, split
from spikeproof.deploy.bundle import read_bundle
from spikeproof.deploy.executors import load_float, run_float, run_twin
from spikeproof.deploy.samples import named_samples

STEPS, SIZE, HELD, SEED, CAP = 300, (34, 34), 200, 0, 15
BATCH = 20
"""Samples that are run at once: T = 300 fills the memory."""
SAID = ("--dt", 1, "--steps", STEPS, "--encoding", "frames", "--binning", "time")
HOW = (*SAID, "--cap", CAP, "--readout", "spikes", "--reset", "zero")


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """Stacks of frames [N, T·2, 34, 34] and their classes."""

    images: np.ndarray
    labels: np.ndarray


def options() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sinabs", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="N-MNIST's folder")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="without suffix")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--bits", type=int, nargs="+", default=[8, 6, 4])
    return parser.parse_args()


def recordings(folder: Path) -> tuple[Shown, dict[str, Shown]]:
    """What Sinabs learns from, and what is asked later: `held` and `test`."""
    frames = FrameConfig(steps=STEPS, binning="time", size=SIZE, cap=CAP)
    data = load(f"nmnist:{folder}", frames=frames)
    learn, held = split(data, seed=SEED, holdout=HELD)
    asked = {
        "held": Shown(images=held.images, labels=held.labels),
        "test": Shown(images=data.test_images, labels=data.test_labels),
    }
    return Shown(images=learn.images, labels=learn.labels), asked


def trained(given: argparse.Namespace, learn: Shown, asked: dict[str, Shown]) -> Path:
    """The NIR file that Sinabs writes, what it says itself beside it."""
    model = given.work / "sinabs.nir"
    if model.with_suffix(".npz").is_file():
        return model
    given.work.mkdir(parents=True, exist_ok=True)
    apart = {"learn": learn, **asked}
    arrays = {k: s.images.reshape(-1, STEPS, 2, *SIZE) for k, s in apart.items()}
    np.savez(given.work / "frames.npz", labels=learn.labels, **arrays)  # type: ignore[arg-type]
    child = Path(__file__).with_name("foreign_if_sinabs.py")
    command = [sys.executable, child, given.work / "frames.npz", model, given.epochs]
    environment = {**os.environ, "PYTHONPATH": str(given.sinabs.resolve())}
    subprocess.run([str(word) for word in command], env=environment, check=True)
    return model


def deployed(given: argparse.Namespace, model: Path, bits: int) -> tuple[str, Path]:
    """The command that puts the file on the chip, and the bundle that it wrote."""
    out = given.work / f"chip-{bits}"
    golden = ("--calibrate", f"nmnist:{given.data}", "--golden", 50, "--search-samples", 0)
    words = ["deploy", model, "--out", out, "--bits", bits, *HOW, *golden]
    command = [str(word) for word in words]
    if not (out / "SHA256SUMS").is_file():
        subprocess.run([sys.executable, "-m", "spikeproof", *command], check=True)
    return shlex.join(["spikeproof", *command]), out


def compared(bundle_path: Path, asked: dict[str, Shown], sinabs: Path) -> dict[str, Any]:
    """Accuracies of Sinabs, of its file in float64 and of the chip, part by part."""
    bundle = read_bundle(bundle_path)
    network = load_float(bundle.nir, bundle.metadata)
    with np.load(sinabs.with_suffix(".npz")) as file:
        own = {name: file[name] for name in asked}
    found = {}
    for name, shown in asked.items():
        ours = _logits(lambda x: run_float(network, named_samples(bundle.program, x)), shown)
        chip = _logits(lambda x: run_twin(bundle.program, x), shown)
        said = {"sinabs": own[name], "float": ours, "chip": chip}
        right = {who: counts.argmax(1) == shown.labels for who, counts in said.items()}
        joined = pairs(right["float"], right["chip"])
        found[name] = {
            "samples": len(shown.labels),
            **{k: asdict(share(each)) for k, each in right.items()},
            "difference": asdict(difference(joined)),
            "same_class": float((ours.argmax(1) == chip.argmax(1)).mean()),
            "counts_as_sinabs": float((ours == own[name]).all(1).mean()),
        }
    return found


def _logits(run: Any, shown: Shown) -> np.ndarray:
    parts = np.array_split(shown.images, -(-len(shown.images) // BATCH))
    return np.concatenate([run(part).logits for part in parts])


def rails(bundle: Path) -> dict[str, dict[str, Any]]:
    """By population: its certificate, and how often v stood on the negative rail."""
    rows = read_json(bundle / "chip.json")["populations"]
    keys = ("scale", "vth", "weight_peak", "negative_rail_seen")
    return {row["name"]: {key: row[key] for key in keys} | row["certificate"] for row in rows}


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """The record."""
    learn, asked = recordings(given.data)
    model = trained(given, learn, asked)
    chips = {}
    for bits in given.bits:
        command, bundle = deployed(given, model, bits)
        chips[str(bits)] = {
            "command": command,
            "accuracy": compared(bundle, asked, model),
            "populations": rails(bundle),
        }
    return {
        "model_sha256": sha256(model),
        "trained": {
            "by": "sinabs 3.1.3, nir 1.0.4",
            "epochs": given.epochs,
            "on": len(learn.labels),
        },
        "chips": chips,
        "versions": versions(),
    }


HEAD = """\
# An integrate-and-fire network of another framework on the chip

Written by `benchmarks/foreign_if.py`. Sinabs trained two convolutions and a dense layer, each
followed by integrate-and-fire neurons that are set to zero when they fire, with summed windows
between, on {on} recordings of N-MNIST (34x34x2 counts of events, T = 300 bins of equal time,
{epochs} epochs). It wrote the NIR file, which has no metadata. Asked are the 50 recordings of the
test part and 200 of the training part that Sinabs did not see; intervals are at 95 %. *float* is
the file in float64.

<!-- not run: record -->
```sh
{command}
```

| bits | recordings | Sinabs | float | chip | difference in points | same class |
| --: | --- | --: | --: | --: | --: | --: |
"""
RAILS = """
Room between each bound and its rail at 8 bits, in least significant bits of the register (a weight
of 1 brings 64; bounds hold for every input of at most {cap} events a cell and step), and how often
v stood on its negative rail in the 50 golden recordings:

| population | scale | u to its wrap | v to its clip | v to its negative rail | seen there |
| --- | --: | --: | --: | --: | --: |
"""


def page(record: dict[str, Any]) -> str:
    """The record for people."""
    first = next(iter(record["chips"].values()))
    lines = [HEAD.format(**record["trained"], command=first["command"])]
    for bits, chip in record["chips"].items():
        for name, row in chip["accuracy"].items():
            lines.append(
                f"| {bits} | {NAMES[name]} | "
                f"{' | '.join(_percent(row[who]) for who in ('sinabs', 'float', 'chip'))} | "
                f"{_points(row['difference'])} | {row['same_class']:.1%} |\n"
            )
    lines.append(RAILS.format(cap=CAP))
    for name, row in first["populations"].items():
        lsb = row["margins"]
        lines.append(
            f"| {name} | {row['scale']:.1f} | {lsb['u_wrap']:,} | {lsb['positive_clip']:,} | "
            f"{lsb['negative_rail']:,} | {row['negative_rail_seen']} |\n"
        )
    return "".join(lines)


NAMES = {"held": "200, unseen", "test": "50, test"}


def _percent(found: dict[str, float]) -> str:
    return f"{found['value']:.1%} ({100 * found['low']:.1f} to {100 * found['high']:.1f})"


def _points(found: dict[str, float]) -> str:
    value, low, high = (100 * found[key] for key in ("value", "low", "high"))
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


def main() -> None:
    """Measures and writes both files."""
    torch.set_num_threads(1)
    given = options()
    record = measure(given)
    write_json(given.out.with_suffix(".json"), record)
    write_text(given.out.with_suffix(".md"), page(record))
    print(given.out.with_suffix(".md").read_text())


if __name__ == "__main__":
    main()
