r"""Do bias correction and channel groups keep robustness that the scale search does not keep?

One checkpoint, rounded to few bits: at the scales that just fit and at searched ones, each also
with corrected biases (the mean error that rounding brings to a channel's input current, on held-out
training images, added to its bias: Nagel et al. 2019, section 4.2), and in two populations a layer,
channels of large weights apart from those of small ones, each with a scale of its own. PGD10 with
the triangle, white box, on the uint8 lattice.

    python benchmarks/quantisation_variants.py CHECKPOINT --data digits --epsilon 0.1 \
        --out docs/results/quantisation_digits.json
"""

import argparse
import shlex
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from spikeproof.attacks.lattice import ThreatModel
from spikeproof.attacks.pgd import PGD
from spikeproof.core.decision import predictions
from spikeproof.core.files import sha256, write_json
from spikeproof.core.record import versions
from spikeproof.datasets.images import fingerprint, load
from spikeproof.deploy.calibration import held_out
from spikeproof.deploy.float_network import FloatLayer, FloatNetwork, FloatSynapse
from spikeproof.deploy.lower import lower
from spikeproof.deploy.quantize import Precision, quantize
from spikeproof.deploy.scale import SearchConfig, search_scales
from spikeproof.export.to_nir import to_nir
from spikeproof.sim.classifier import LEVELS, TwinClassifier
from spikeproof.sim.graph.file import read_nir, write_nir
from spikeproof.sim.graph.meta import read_meta
from spikeproof.sim.program import Program
from spikeproof.train.checkpoint import checkpoint_file
from spikeproof.train.checkpoint import load as load_checkpoint

BATCH = 32


def corrected(
    network: FloatNetwork, images: torch.Tensor, *, bits: int, factors: dict[str, float]
) -> FloatNetwork:
    """With biases that undo the mean error of rounding, one layer after the other."""
    for index, layer in enumerate(network.layers):
        program, scales = quantize(network, precision=Precision(bits=bits), factors=factors)
        bias = layer.bias + _mean_error(program, layer, images, scales[layer.name])
        layers = (*network.layers[:index], replace(layer, bias=bias), *network.layers[index + 1 :])
        network = replace(network, layers=layers)
    return network


def _mean_error(
    program: Program, layer: FloatLayer, images: torch.Tensor, scale: float
) -> np.ndarray:
    """What rounded weights bring too little, one mean a channel, in the network's own unit."""
    chip = TwinClassifier(program)
    with torch.no_grad():
        trains = {**chip.run(images).spikes, chip.source.name: chip.payload(images)}
    total = torch.zeros(layer.shape[0], dtype=torch.float64)
    for ours, rounded in zip(layer.synapses, program.into(layer.name), strict=True):
        # Sums are linear: the mean input is enough.
        mean = trains[rounded.source].double().mean((0, 1))
        lost = torch.from_numpy(ours.weight - rounded.weight / scale)
        if rounded.is_conv:
            total += F.conv2d(mean[None], lost, **rounded.geometry)[0].mean((1, 2))
        else:
            total += lost @ mean.flatten()
    return total.numpy()


def grouped(network: FloatNetwork) -> FloatNetwork:
    """Each hidden layer as two populations: the channels of the larger weights, and the others."""
    parts: dict[str, list[tuple[str, np.ndarray]]] = {}
    layers: list[FloatLayer] = []
    for layer in network.layers:
        peaks = np.max(
            [np.abs(s.weight).reshape(len(s.weight), -1).max(1) for s in layer.synapses], 0
        )
        order, half = np.argsort(peaks), len(peaks) // 2
        split = [("low", np.sort(order[:half])), ("high", np.sort(order[half:]))]
        if layer.theta is None:
            split = [("", np.arange(len(peaks)))]
        else:
            parts[layer.name] = [(f"{layer.name}_{name}", rows) for name, rows in split]
        layers += [
            replace(
                layer,
                name=f"{layer.name}_{name}" if name else layer.name,
                shape=(len(rows), *layer.shape[1:]),
                bias=layer.bias[rows],
                synapses=tuple(
                    piece
                    for synapse in layer.synapses
                    for piece in _pieces(replace(synapse, weight=synapse.weight[rows]), parts)
                ),
            )
            for name, rows in split
        ]
    return replace(network, layers=tuple(layers))


def _pieces(
    synapse: FloatSynapse, parts: dict[str, list[tuple[str, np.ndarray]]]
) -> list[FloatSynapse]:
    """A synapse from every part of its source; dense weights read maps, channel by channel."""
    if synapse.source not in parts:
        return [synapse]
    channels = sum(len(rows) for _, rows in parts[synapse.source])
    by_channel = synapse.weight.reshape(
        len(synapse.weight),
        channels,
        *(synapse.weight.shape[2:] if synapse.weight.ndim == 4 else (-1,)),
    )
    found = []
    for name, rows in parts[synapse.source]:
        weight = by_channel[:, rows]
        flat = weight if synapse.weight.ndim == 4 else weight.reshape(len(weight), -1)
        found.append(replace(synapse, source=name, weight=flat))
    return found


def right(program: Program, images: torch.Tensor, labels: torch.Tensor, epsilon: float) -> Any:
    """Which are right, and right under attack, bool [N] each."""
    chip = TwinClassifier(program, using="triangle")
    attack = PGD(name="pgd10", steps=10, estimator="triangle")
    found = []
    for keys in torch.arange(len(labels)).split(BATCH):
        given = images[keys], labels[keys]
        attempt = attack(chip, *given, threat=ThreatModel(epsilon=epsilon), keys=keys, seed=0)
        with torch.no_grad():
            clean = predictions(chip(given[0])) == given[1]
        found.append(torch.stack([clean, clean & ~attempt.fooled_any]))
    return torch.cat(found, 1).numpy()


def options() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epsilon", type=float, default=8 / 255)
    parser.add_argument("--samples", type=int, default=360, help="first test samples")
    parser.add_argument("--bits", type=int, nargs="+", default=[4, 3, 2])
    return parser.parse_args()


def main() -> None:
    """Measures, and writes what was found."""
    torch.set_num_threads(1)
    given = options()
    data = load(given.data)
    held = held_out(data, where=given.data, kind="", seed=0, count=128)
    shown = torch.from_numpy(held.images).float() / LEVELS
    images = torch.from_numpy(data.test_images[: given.samples]).float() / LEVELS
    labels = torch.from_numpy(data.test_labels[: given.samples])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.nir"
        write_nir(file, to_nir(load_checkpoint(given.checkpoint)))
        graph = read_nir(file)
    network = lower(graph, read_meta(graph))
    rows = []
    for bits in given.bits:
        precision = Precision(bits=bits)
        config = SearchConfig(epsilon=given.epsilon)
        found = search_scales(
            network, shown, torch.from_numpy(held.labels), precision=precision, config=config
        ).factors
        fits: dict[str, float] = {}
        variants = {
            "just fits": (network, fits),
            "just fits, corrected": (corrected(network, shown, bits=bits, factors=fits), fits),
            "just fits, two groups": (grouped(network), fits),
            "searched": (network, found),
            "searched, corrected": (corrected(network, shown, bits=bits, factors=found), found),
        }
        seen = {}
        for name, (each, factors) in variants.items():
            program, _ = quantize(each, precision=precision, factors=factors)
            seen[name] = right(program, images, labels, given.epsilon)
            usual = seen[name.partition(",")[0]][1]
            robust = seen[name][1]
            rows.append(
                {
                    "bits": bits,
                    "variant": name,
                    "clean": int(seen[name][0].sum()),
                    "robust": int(robust.sum()),
                    "gained": int((robust & ~usual).sum()),
                    "lost": int((usual & ~robust).sum()),
                }
            )
            print(rows[-1], file=sys.stderr, flush=True)
    write_json(
        given.out,
        {
            "command": shlex.join(["python", "benchmarks/quantisation_variants.py", *sys.argv[1:]]),
            "checkpoint_sha256": sha256(checkpoint_file(given.checkpoint)),
            "data": {"name": data.name, "sha256": fingerprint(data)},
            "n": len(labels),
            "epsilon": given.epsilon,
            "rows": rows,
            "versions": versions(),
        },
    )


if __name__ == "__main__":
    main()
