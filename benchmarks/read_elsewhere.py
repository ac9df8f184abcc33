"""What do other frameworks get right when they read our NIR files, and we when we read theirs?

    python benchmarks/read_elsewhere.py snntorch=FOLDER spikingjelly=FOLDER ...

FOLDER is where `pip install --no-deps --target FOLDER PACKAGE` put that framework, with the
versions of nir and nirtorch that it wants; those not named are taken from the environment. Each
runs in a process of its own. Writes docs/readers.md and docs/results/readers.json.
"""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from foreign_readers import READERS
from foreign_writers import STEPS, WRITERS, Written

from spikeproof.core.errors import SpikeproofError
from spikeproof.core.files import write_json, write_text
from spikeproof.core.record import versions
from spikeproof.export.to_nir import to_nir
from spikeproof.sim.graph.file import write_nir
from spikeproof.sim.graph.network import NirNetwork
from spikeproof.train.network import NetworkConfig, SpikingNetwork

DOCS = Path(__file__).parents[1] / "docs"
CHILDREN = [Path(__file__).with_name(f"foreign_{what}.py") for what in ("readers", "writers")]
CLOSE = 1e-4
"""Largest difference of an output, in the largest output, that float32 explains."""
SAMPLES = 4
TITLES = {
    "spikingjelly": "SpikingJelly",
    "snntorch": "snnTorch",
    "norse": "Norse",
    "sinabs": "Sinabs",
    "rockpool": "Rockpool",
}
PACKAGES = {name: [name, "nir", "nirtorch"] for name in TITLES}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One file in one framework: `equal`, `differs` or `fails`, and what shows it."""

    verdict: str
    detail: str


def networks() -> dict[str, SpikingNetwork]:
    """Networks of our family, by what they hold; every layer fires."""
    base: dict[str, Any] = {
        "input_shape": (2, 8, 8), "classes": 5, "steps": STEPS, "mean": (90, 120),
        "std": (0.3, 0.2), "hidden": (11,),
    }  # fmt: skip
    conv = base | {"architecture": "conv", "widths": (4,)}
    pools = base | {"architecture": "conv-pool-conv", "widths": (4, 6)}
    wide = base | {"architecture": "wrn10-1", "widths": (3, 4, 5, 6), "hidden": ()}
    configs = {
        "IF": NetworkConfig(**conv),
        "LIF": NetworkConfig(**conv, neuron="lif", decay=0.75),
        "IF, strided convolution (pools merged)": NetworkConfig(**pools),
        "LIF, strided convolution (pools merged)": NetworkConfig(**pools, neuron="lif", decay=0.75),
        "IF, residual sums": NetworkConfig(**wide),
    }
    return {name: _drawn(config) for name, config in configs.items()}


def dense() -> dict[str, nir.NIRGraph]:
    """Networks without convolutions, as some frameworks know no others."""
    graphs, rng = {}, np.random.default_rng(0)
    for name, source in (("IF, dense", "IF"), ("LIF, dense", "LIF")):
        graph = to_nir(networks()[source])
        neurons = {"r": np.ones(9), "v_threshold": np.full(9, 60.0), "v_reset": np.zeros(9)}
        if source == "LIF":
            neurons |= {"tau": np.full(9, 4.0), "r": np.full(9, 4.0), "v_leak": np.zeros(9)}
        nodes = {
            "input": nir.Input({"input": np.array([6])}),
            "dense": nir.Affine(weight=rng.normal(size=(9, 6)), bias=rng.normal(size=9)),
            "fire": getattr(nir, source)(**neurons),
            "last": nir.Affine(weight=rng.normal(size=(4, 9)), bias=rng.normal(size=4)),
            "output": nir.Output({"output": np.array([4])}),
        }
        edges = [("input", "dense"), ("dense", "fire"), ("fire", "last"), ("last", "output")]
        metadata = {k: v for k, v in graph.metadata.items() if k != "input_lattice"}
        graphs[name] = nir.NIRGraph(nodes, edges, metadata=metadata)
    return graphs


def _drawn(config: NetworkConfig) -> SpikingNetwork:
    torch.manual_seed(1)
    network = SpikingNetwork(config).eval()
    with torch.no_grad():
        for key, value in network.named_parameters():
            if "norm" in key:
                value.uniform_(0.3, 0.9)
            elif value.ndim > 1:
                value.mul_(2.0)
    return network


def write_ours(folder: Path) -> dict[str, np.ndarray]:
    """All files as `K.nir` with their input as `K.npz`; what we make of each, by title."""
    graphs = dense() | {name: to_nir(network) for name, network in networks().items()}
    expected = {}
    for k, (title, graph) in enumerate(graphs.items()):
        write_nir(folder / f"{k}.nir", graph)
        network = NirNetwork.load(folder / f"{k}.nir", dtype=torch.float64)
        draw = np.random.default_rng(2)
        train = draw.integers(-90, 160, (STEPS, SAMPLES, *network.input_shape)).astype(float)
        np.savez(folder / f"{k}.npz", train=train, dt=network.meta.dt)
        expected[title] = outputs_of(network, torch.from_numpy(train))
    return expected


def read_theirs(path: Path, written: Written) -> Outcome:
    """A file of a framework, read by us; `path` lacks its ending."""
    theirs = np.load(f"{path}.npz")
    if "error" in theirs:
        return Outcome(verdict="none", detail=f"it writes none: {theirs['error']}")
    given = {"steps": STEPS, "encoding": "frames", "readout": "membrane", **written.given}
    try:
        network = NirNetwork.load(Path(f"{path}.nir"), dtype=torch.float64, **given)
        ours = outputs_of(network, torch.from_numpy(theirs["train"]).double())
    except SpikeproofError as error:
        return Outcome(verdict="refused", detail=str(error))
    outcome = _verdict(theirs["outputs"], ours)
    told = " ".join(
        f"--{key} {value:g}" if key == "dt" else f"--{key} {value}"
        for key, value in written.given.items()
    )
    return replace(outcome, detail=f"{outcome.detail}; {told}")


def outputs_of(network: NirNetwork, train: torch.Tensor) -> np.ndarray:
    """What reaches the output node, at every step."""
    (output,) = (name for name in network.layers if not _feeds(network, name))
    with torch.no_grad():
        return network.values({network.input: train}, [output])[output].numpy()


def _feeds(network: NirNetwork, name: str) -> bool:
    return any(name in sources for sources in network.sources.values())


def _compared(found: Path, expected: np.ndarray) -> Outcome:
    arrays = np.load(found)
    if "error" in arrays:
        return Outcome(verdict="fails", detail=str(arrays["error"]))
    outcome = _verdict(arrays["outputs"], expected)
    return replace(outcome, detail=f"{outcome.detail}; {arrays['how']}")


def _verdict(found: np.ndarray, expected: np.ndarray) -> Outcome:
    found = found.reshape(*found.shape[:2], -1)
    if found.shape != expected.shape:
        return Outcome(
            verdict="differs", detail=f"shape {list(found.shape)} for {list(expected.shape)}"
        )
    off = np.abs(found - expected).max(axis=(1, 2)) / np.abs(expected).max()
    if off.max() <= CLOSE:
        return Outcome(verdict="equal", detail=f"largest difference {off.max():.0e}")
    first = int(np.argmax(off > CLOSE))
    return Outcome(
        verdict="differs", detail=f"from step {first + 1}, by up to {off.max():.0%} of an output"
    )


def run(name: str, folder: Path, path: str | None) -> None:
    """Lets a framework read and write, in processes of its own."""
    more = {"PYTHONPATH": path} if path else {}
    for child in CHILDREN:
        command = [sys.executable, str(child), name, str(folder)]
        with (folder / f"{name}.log").open("w") as log:
            subprocess.run(command, env={**os.environ, **more}, stdout=log, stderr=log, check=True)


def used(name: str, path: str | None) -> str:
    """Versions of a framework and of the nir packages that it ran with."""
    there = {
        d.metadata["Name"].lower(): d.version
        for d in distributions(path=[path] if path else sys.path)
    }
    here = {d.metadata["Name"].lower(): d.version for d in distributions()}
    return ", ".join(f"{p} {(here | there).get(p, 'absent')}" for p in PACKAGES[name])


HEAD = """\
# What other frameworks read in our files, and we in theirs

Written by `benchmarks/read_elsewhere.py`, which runs every reader in a process of its own on the
same input and compares the value at the output node at every step with ours in float64. *Equal*
means within {close:g} of the largest output. Records: `docs/results/readers.json`.
"""


NOTES = """\
## Why

Read in the readers' code, for the versions below.

- **SpikingJelly** takes `dt` as an argument (default 1e-4): pass the file's. It alone gets all of
  ours.
- **snnTorch** takes no `dt` and assumes 1e-4 for LIF, so that λ and gain of a file with `dt = 1`
  are lost. IF becomes `Leaky(beta=0.9)` with subtractive reset, and where it answers spikes and
  membrane the next layer cannot take both. Its own reset by subtraction is not NIR's: from a
  membrane that stays above its threshold it takes another one at the next step before it compares,
  and by default (`reset_delay=True`) the reset comes a step late.
- **Norse** takes `dt`. IF is right. LIF becomes a box without `r`, so that the input weighs 1 − λ
  of what it should. Of a residual network it answers another node's output.
- **Sinabs** 3.1 asks for nir up to 1.0.4, whose neurons have no `v_reset`: it cannot open files
  that hold one. Its own IF subtracts, which its file does not say (`--reset subtract`), and fires
  several times a step unless it is told to fire once: NIR's neurons fire once. It writes maps only
  after `NIRGraph.infer_types`, which states a wrong size behind a rectangular kernel; we compute
  sizes ourselves.
- **Rockpool** has no IF and no convolutions in NIR, and writes LIF as CubaLIF without `w_in`: its
  own synapse adds all of its input, the one that it writes 1 − exp(−dt/tau_syn) of it, so that no
  reader can get its network from the file.
- Norse and snnTorch keep `Flatten(0, -1)` as it is, though NIR counts axes without the batch:
  *only without a batch axis* says where a batch does not go through.
- Norse writes numbers without a shape, which `nir.write` 1.0.8 refuses.
- **lava-dl** 0.6 reads no NIR, and **nirtorch** alone has no neurons; neither can be tried.
"""


def write(
    ours: dict[str, dict[str, Outcome]], theirs: dict[str, dict[str, Outcome]], ran: dict[str, str]
) -> None:
    """The record, and the same for people."""
    record = {
        "reading ours": {n: {t: vars(o) for t, o in row.items()} for n, row in ours.items()},
        "reading theirs": {n: {t: vars(o) for t, o in row.items()} for n, row in theirs.items()},
        "used": ran,
        "versions": versions(),
    }
    write_json(DOCS / "results" / "readers.json", record)
    lines = [
        HEAD.format(close=CLOSE),
        "## Our files\n",
        "| file | reader | result | |",
        "|---|---|---|---|",
    ]
    for title in next(iter(ours.values())):
        for name, row in ours.items():
            lines.append(
                f"| {title} | {TITLES[name]} | {row[title].verdict} | {_cell(row[title].detail)} |"
            )
    lines += ["", "## Their files", "", "| writer | network | we read | |", "|---|---|---|---|"]
    for name, row in theirs.items():
        lines += [
            f"| {TITLES[name]} | {title} | {outcome.verdict} | {_cell(outcome.detail)} |"
            for title, outcome in row.items()
        ]
    lines += [
        "",
        *NOTES.splitlines(),
        "",
        "## Versions",
        "",
        *(f"- {TITLES[name]}: {line}" for name, line in ran.items()),
        "",
    ]
    write_text(DOCS / "readers.md", "\n".join(lines))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> None:
    """Runs all and writes both files."""
    torch.set_num_threads(1)
    paths = dict(word.split("=", 1) for word in sys.argv[1:])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        expected = write_ours(folder)
        ours, theirs = {}, {}
        for name in READERS:
            run(name, folder, paths.get(name))
            ours[name] = {
                title: _compared(folder / f"{k}.{name}.npz", value)
                for k, (title, value) in enumerate(expected.items())
            }
            theirs[name] = {
                written.title: read_theirs(folder / f"{name}.{k}", written)
                for k, written in enumerate(WRITERS[name])
            }
    write(ours, theirs, {name: used(name, paths.get(name)) for name in READERS})
    print((DOCS / "readers.md").read_text())


if __name__ == "__main__":
    main()
