"""`spikeproof demo`: all of it, on real data that comes with a dependency."""

import os
import signal
from pathlib import Path
from typing import Annotated, Any

import typer

from .options import Device, Json, Seed, full_float_device, show
from .stations import EPSILON, Stations

METHODS: dict[str, str] = {"vanilla": "vanilla", "at": "AT", "srstar": "SR*"}
LONGEST_FIRST = ("srstar", "at", "vanilla")


def demo(
    out: Annotated[Path, typer.Option("--out", help="Where to write.")] = Path("runs/demo"),
    seed: Seed = 0,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Trains three networks, deploys and audits them, and writes a report for each.

    Example: spikeproof demo --out runs/demo
    """
    from joblib import Parallel, cpu_count, delayed

    from ..core.files import write_json

    # As Ctrl-C: what is raised here ends the workers, who would otherwise work on as orphans.
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    used = full_float_device(device)
    ways = {
        method: Stations(method=method, label=label, folder=out / method, seed=seed, device=used)
        for method, label in METHODS.items()
    }
    # Each network is its own process with one thread: small convolutions gain nothing from more.
    done = Parallel(n_jobs=min(len(METHODS), cpu_count()), max_nbytes=None)(
        delayed(ways[method].run)(caller=os.getpid()) for method in LONGEST_FIRST
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
    from ..attacks.lattice import ThreatModel
    from ..attacks.suite import PUBLISHED_ESTIMATORS
    from ..audit.wording import epsilon_text, estimate

    heads = ("", "clean float", "clean chip", "robust float", "robust chip", "difference")
    rows: list[tuple[str, ...]] = [heads]
    for entry in results.values():
        audit = entry["audit"]
        change = audit["difference"]
        rows.append(
            (
                entry["label"],
                estimate(audit["clean"]["float"]),
                estimate(audit["clean"]["hardware"]),
                estimate(audit["robust"]["float_on_float"]),
                estimate(audit["robust"]["hardware_on_hardware"]),
                f"{change['value']:+.1f} ({change['low']:+.1f} to {change['high']:+.1f})",
            )
        )
    count = len(PUBLISHED_ESTIMATORS)
    n = next(iter(results.values()))["audit"]["n"]
    radius = epsilon_text(ThreatModel(epsilon=EPSILON).radius)
    head = (
        f"accuracy on {n} test images, white box, ±{radius} a pixel, worst of "
        f"FGSM, PGD10 (steps of 2.5ε/10) and APGD10 x {count} gradient estimators"
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
