"""`spikeproof analyse norms`, `vulnerability`, `histogram` and `heatmap`: of trained networks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import ConfigError
from .analysis_results import Count, Format, finish
from .options import Data, Device, Epsilon, Json, Out, Seed, full_float_device
from .progress import RichTracker

if TYPE_CHECKING:
    from ..analysis.measure import Samples
    from ..train.target import NetworkTarget

Networks = Annotated[
    list[Path], typer.Argument(help="Training folders or .safetensors in them.", metavar="NETWORK")
]
Estimator = Annotated[str, typer.Option(help="How spikes are differentiated.")]


def norms(
    networks: Networks,
    data: Data,
    out: Out,
    samples: Count = 500,
    estimator: Estimator = "triangle",
    format_: Format = "svg",
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Norms of the gradient that SR flattens, ‖∇f‖₁, ‖∇f‖₂ and ‖∇f‖₀.

    Example: spikeproof analyse norms runs/at runs/srstar --data cifar10:data --out runs/norms
    """
    from ..analysis.figures import norms_figure
    from ..analysis.gradients import norms as norms_of
    from ..analysis.measure import measure_gradients

    targets, chosen = _opened(networks, data, samples, estimator, device, format_)
    found, rows = {}, {}
    for name, target in targets.items():
        each = norms_of(measure_gradients(target, chosen, tracker=RichTracker()))
        found[name] = {key: getattr(each, key).tolist() for key in ("l1", "l2", "l0")}
        rows[name] = {key: sum(values) / len(values) for key, values in found[name].items()}
    numbers = {"mean": rows, "each": found, **_asked(data, chosen, estimator)}
    finish(out, "norms", numbers, norms_figure(found), rows, seed, format_, json)


def vulnerability(
    networks: Networks,
    data: Data,
    out: Out,
    samples: Count = 200,
    epsilon: Epsilon = 8 / 255,
    draws: Annotated[int, typer.Option(help="Random perturbations a sample.", min=1)] = 64,
    steps: Annotated[int, typer.Option(help="Of the search for the worst one.", min=0)] = 10,
    estimator: Estimator = "triangle",
    format_: Format = "svg",
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Random and adversarial vulnerability, and their ratio against its bounds.

    Example: spikeproof analyse vulnerability runs/srstar --data cifar10:data --out runs/rho
    """
    from dataclasses import asdict

    from ..analysis.figures import ratio_figure
    from ..analysis.measure import measure_vulnerability
    from ..analysis.vulnerability import VulnerabilityConfig, each_sample, summary

    config = VulnerabilityConfig(epsilon=epsilon, draws=draws, steps=steps, seed=seed)
    targets, chosen = _opened(networks, data, samples, estimator, device, format_)
    found, rows = {}, {}
    for name, target in targets.items():
        measured, sizes = measure_vulnerability(target, chosen, config, tracker=RichTracker())
        found[name], rows[name] = each_sample(measured, sizes), summary(measured, sizes)
    asked = {"config": asdict(config), **_asked(data, chosen, estimator)}
    numbers = {"summary": rows, "each": found, **asked}
    finish(out, "vulnerability", numbers, ratio_figure(found), rows, seed, format_, json)


def histogram(
    networks: Networks,
    data: Data,
    out: Out,
    samples: Count = 500,
    estimator: Estimator = "triangle",
    format_: Format = "svg",
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """How the gradient's components are distributed, as a density.

    Example: spikeproof analyse histogram runs/at runs/srstar --data cifar10:data --out runs/h
    """
    from ..analysis.figures import density_figure
    from ..analysis.measure import common_edges, density, measure_gradients

    targets, chosen = _opened(networks, data, samples, estimator, device, format_)
    gradients = {
        name: measure_gradients(target, chosen, tracker=RichTracker())
        for name, target in targets.items()
    }
    edges = common_edges(list(gradients.values()))
    found = {name: density(values, edges=edges) for name, values in gradients.items()}
    figure = density_figure(edges, {name: row["density"] for name, row in found.items()})
    rows = {
        name: {key: value for key, value in row.items() if key != "density"}
        for name, row in found.items()
    }
    numbers = {"edges": edges.tolist(), "networks": found, **_asked(data, chosen, estimator)}
    finish(out, "histogram", numbers, figure, rows, seed, format_, json)


def heatmap(
    networks: Networks,
    data: Data,
    out: Out,
    samples: Count = 6,
    estimator: Estimator = "triangle",
    format_: Format = "svg",
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Where the gradient is, |∇f| beside the images.

    Example: spikeproof analyse heatmap runs/at runs/srstar --data cifar10:data --out runs/maps
    """
    from ..analysis.figures import heatmap_figure
    from ..analysis.measure import heatmap as heatmap_of
    from ..analysis.measure import measure_gradients

    targets, chosen = _opened(networks, data, samples, estimator, device, format_)
    maps = {
        name: heatmap_of(measure_gradients(target, chosen, tracker=RichTracker()))
        for name, target in targets.items()
    }
    figure = heatmap_figure(chosen.images.permute(0, 2, 3, 1).cpu().numpy(), maps)
    rows = {name: {"largest": float(values.max())} for name, values in maps.items()}
    numbers = {"networks": {name: values.tolist() for name, values in maps.items()}}
    numbers |= _asked(data, chosen, estimator)
    finish(out, "heatmap", numbers, figure, rows, seed, format_, json)


def _opened(
    networks: list[Path], data: str, count: int, estimator: str, device: str, figure_format: str
) -> "tuple[dict[str, NetworkTarget], Samples]":
    """Networks by name, and the test images they are measured on."""
    from ..analysis.measure import first_test_samples
    from ..analysis.results import check_format
    from ..datasets.images import load
    from ..train.checkpoint import load as load_network
    from ..train.target import NetworkTarget

    check_format(figure_format)
    names = [path.name for path in networks]
    if len(set(names)) < len(names):
        names = [str(path) for path in networks]
    used, targets = full_float_device(device), {}
    for name, path in zip(names, networks, strict=True):
        network = load_network(path).to(used)
        if network.config.frames is not None:
            raise ConfigError(
                f"expected networks that take images, got {path}, which takes frames of events; "
                "its gradients are not analysed by this version"
            )
        targets[name] = NetworkTarget(network, name=name, estimator_name=estimator)
    return targets, first_test_samples(load(data), count, device=used)


def _asked(data: str, samples: "Samples", estimator: str) -> dict[str, Any]:
    return {"data": {"spec": data}, "samples": len(samples), "estimator": estimator}
