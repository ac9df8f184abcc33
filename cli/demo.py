"""`spikeproof demo`: all of it, on real data that comes with a dependency."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import NotEqualError
from .options import Device, Json, Seed, device_named, show

if TYPE_CHECKING:
    from ..audit.validate import AuditResult
    from ..datasets.images import ImageData

DATA = "digits"
METHODS: dict[str, str] = {"vanilla": "vanilla", "at": "AT", "srstar": "SR*"}
LONGEST_FIRST = ("srstar", "at", "vanilla")
EPSILON = 0.1
"""25 of 255 levels; chosen before any result was seen, because digits have 17 grey levels and
smaller balls leave every network right."""
PARITY_SAMPLES = 12
"""Clean ones, and as many adversarial ones."""
SAMPLES = 240
BATCH = 120
CURVE = (0, 5, 12, 25, 64, 255)
CURVE_SAMPLES = 60


@dataclass(frozen=True, kw_only=True)
class _Network:
    """One network on its way through the demo."""

    label: str
    folder: Path

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle"


def demo(
    out: Annotated[Path, typer.Option("--out", help="Where to write.")] = Path("runs/demo"),
    seed: Seed = 0,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Trains three networks, deploys and audits them, and writes a report for each.

    Example: spikeproof demo --out runs/demo
    """
    import signal

    from joblib import Parallel, cpu_count, delayed

    from ..core.files import write_json

    # As Ctrl-C: what is raised here ends the workers, who would otherwise work on as orphans.
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    used = device_named(device)
    folders = {method: _Network(label=METHODS[method], folder=out / method) for method in METHODS}
    # Each network is its own process with one thread: small convolutions gain nothing from more.
    done = Parallel(n_jobs=min(len(METHODS), cpu_count()), max_nbytes=None)(
        delayed(_station_by_station)(method, folders[method], seed, used)
        for method in LONGEST_FIRST
    )
    found: dict[str, Any] = dict(zip(LONGEST_FIRST, done, strict=True))
    results = {method: found[method] for method in METHODS}
    comparison = _compare(out)
    write_json(out / "demo.json", {"networks": results, "comparison": comparison})
    show(
        {"out": str(out), "networks": results, "comparison": comparison},
        as_json=json,
        lines=[*_table(results), "", *_said(comparison), *_parity_lines(results), _where(out)],
    )


def _station_by_station(method: str, network: _Network, seed: int, device: str) -> dict[str, Any]:
    """The whole way of one network; a line on stderr after each station."""
    from ..datasets.images import load

    data = load(DATA)
    _train(network, f"{DATA}-{method}", data, seed, device)
    _say(network, "trained")
    _deploy(network, data, seed)
    _say(network, "exported and deployed")
    checked = _parity(network, data, seed)
    _say(network, checked["said"])
    audited = _audit(network, data, seed, device)
    _say(network, f"audited {audited.audit['n']} samples")
    return {"label": network.label, "parity": checked, "audit": audited.audit}


def _say(network: _Network, done: str) -> None:
    typer.echo(f"{network.label:8} {done}", err=True)


def _train(network: _Network, preset_name: str, data: "ImageData", seed: int, device: str) -> None:
    """Trains, or takes what an earlier demo with the same options has finished."""
    from ..train.config import change
    from ..train.loop import run
    from ..train.presets import preset

    recipe = change(preset(preset_name), {"seed": seed})
    folder = network.folder / "checkpoint"
    run(
        recipe.train,
        recipe.network.network(data),
        data,
        folder,
        device=device,
        resume=(folder / "config.json").exists(),
    )


def _deploy(network: _Network, data: "ImageData", seed: int) -> None:
    import torch

    from ..deploy.deployment import DeployConfig, run
    from ..deploy.scale import SearchConfig
    from ..export.verify import export_network
    from ..train.checkpoint import load
    from .deploy import held_out

    model = network.folder / "model.nir"
    trained = load(network.folder / "checkpoint")
    images = torch.from_numpy(data.train_images[:64])
    export_network(trained, model, images=images, classes=data.classes)
    search = SearchConfig(epsilon=EPSILON, seed=seed)
    run(
        DeployConfig(seed=seed, search=search),
        model,
        network.bundle,
        calibration=held_out(DATA, seed=seed),
    )


def _parity(network: _Network, data: "ImageData", seed: int) -> dict[str, Any]:
    """Twin against Lava on clean and adversarial test images."""
    import numpy as np
    import torch

    from ..attacks.lattice import LEVELS, ThreatModel
    from ..attacks.pgd import PGD
    from ..deploy.bundle import read_bundle
    from ..deploy.parity import check_parity
    from ..sim.classifier import TwinClassifier
    from ..sim.estimators import TRAINING
    from ..sim.lava import lava_status

    if not lava_status().available:
        return {"said": "parity NOT checked: Lava is not installed", "report": None}
    bundle = read_bundle(network.bundle)
    clean = data.test_images[:PARITY_SAMPLES]
    attempt = PGD(name="parity", steps=10, estimator=TRAINING)(
        TwinClassifier(bundle.program),
        torch.from_numpy(clean).to(torch.float32) / LEVELS,
        torch.from_numpy(data.test_labels[:PARITY_SAMPLES]),
        threat=ThreatModel(epsilon=EPSILON),
        keys=torch.arange(PARITY_SAMPLES),
        seed=seed,
    )
    adversarial = (attempt.images * LEVELS).round().to(torch.uint8).numpy()
    report = check_parity(bundle, np.concatenate([clean, adversarial]))
    if not report.is_equal:
        raise NotEqualError(f"expected the twin to equal Lava, got {report.first}; report this")
    said = (
        f"parity with Lava on {report.samples} samples (half of them adversarial): "
        f"{report.differences} of {report.values} values differ, {report.spikes} spikes"
    )
    return {"said": said, "report": report.to_json()}


def _audit(network: _Network, data: "ImageData", seed: int, device: str) -> "AuditResult":
    from ..audit.config import AuditConfig
    from ..audit.deployed import data_context, load_deployed
    from ..audit.report.render import render
    from ..audit.validate import parts_of, run
    from ..core.files import write_text

    deployed = load_deployed(network.folder / "checkpoint", network.bundle, device=device)
    out = network.folder / "audit.json"
    result = run(
        AuditConfig(
            suite="quick",
            epsilon=EPSILON,
            seed=seed,
            samples=SAMPLES,
            batch_size=BATCH,
            curve=CURVE,
            curve_samples=CURVE_SAMPLES,
        ),
        float_target=deployed.float_target,
        hardware_target=deployed.hardware_target,
        images=data.test_images,
        labels=data.test_labels,
        out=out,
        context={**deployed.context, **data_context(data), "method": network.label},
        rates=deployed.rates,
        resume=parts_of(out).exists(),
        device=device,
    )
    write_text(network.folder / "report.html", render(result.audit))
    return result


def _compare(out: Path) -> list[dict[str, Any]]:
    """Robust accuracy of one method against another, sample by sample, on either model."""
    from ..audit.comparison import compare_audits

    found = []
    for ours, other in (("at", "vanilla"), ("srstar", "vanilla"), ("srstar", "at")):
        for cell in ("float_on_float", "hardware_on_hardware"):
            change = compare_audits(
                out / other / "audit.parquet", out / ours / "audit.parquet", cell=cell
            )
            found.append({"method": METHODS[ours], "than": METHODS[other], "cell": cell, **change})
    return found


def _table(results: dict[str, Any]) -> list[str]:
    from ..audit.verdict import percent
    from ..sim.estimators import ESTIMATORS

    heads = ("", "clean float", "clean chip", "robust float", "robust chip", "difference")
    rows: list[tuple[str, ...]] = [heads]
    for entry in results.values():
        audit = entry["audit"]
        change = audit["difference"]
        rows.append(
            (
                entry["label"],
                percent(audit["clean"]["float"]),
                percent(audit["clean"]["hardware"]),
                percent(audit["robust"]["float_on_float"]),
                percent(audit["robust"]["hardware_on_hardware"]),
                f"{change['value']:+.1f} ({change['low']:+.1f} to {change['high']:+.1f})",
            )
        )
    n = next(iter(results.values()))["audit"]["n"]
    head = (
        f"accuracy on {n} test images, white box, ±{int(EPSILON * 255)}/255 a pixel, worst of "
        f"FGSM, PGD10 and APGD10 x {len(ESTIMATORS)} gradient estimators"
    )
    return [head, *(f"{row[0]:8} " + " ".join(f"{cell:24}" for cell in row[1:]) for row in rows)]


def _said(comparison: list[dict[str, Any]]) -> list[str]:
    side = {"float_on_float": "float", "hardware_on_hardware": "chip"}
    return [
        f"{c['method']} against {c['than']} on {side[c['cell']]}: {c['value']:+.1f} points "
        f"({c['low']:+.1f} to {c['high']:+.1f})"
        for c in comparison
    ]


def _parity_lines(results: dict[str, Any]) -> list[str]:
    return [f"{entry['label']}: {entry['parity']['said']}" for entry in results.values()]


def _where(out: Path) -> str:
    reports = ", ".join(str(out / method / "report.html") for method in METHODS)
    return f"reports: {reports}"
