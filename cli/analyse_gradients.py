"""`spikeproof analyse norms`, `vulnerability`, `histogram` and `heatmap`: of trained networks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import ConfigError
from .analysis_results import Count, Format, finish
from .options import Data, Device, Epsilon, Json, Out, Seed, full_float_device, radius
from .progress import RichTracker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..analysis.measure import Samples
    from ..datasets.frames import FrameConfig
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
    epsilon: Epsilon = None,
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

    targets, chosen = _opened(networks, data, samples, estimator, device, format_)
    size = radius(epsilon, frames_of(targets))
    config = VulnerabilityConfig(epsilon=size, draws=draws, steps=steps, seed=seed)
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
    from ..analysis.measure import measure_gradients, pictures

    targets, chosen = _opened(networks, data, samples, estimator, device, format_)
    maps = {
        name: heatmap_of(measure_gradients(target, chosen, tracker=RichTracker()))
        for name, target in targets.items()
    }
    figure = heatmap_figure(pictures(chosen, are_frames=frames_of(targets) is not None), maps)
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
    used = full_float_device(device)
    targets = {
        name: NetworkTarget(load_network(path).to(used), name=name, estimator_name=estimator)
        for name, path in zip(names, networks, strict=True)
    }
    read = load(data, frames=frames_of(targets), tracker=RichTracker())
    return targets, first_test_samples(read, count, device=used)


def frames_of(targets: "Mapping[str, NetworkTarget]") -> "FrameConfig | None":
    """How recordings become the input of all networks; None if they take images.

    Raises:
        ConfigError: If they take different inputs.
    """
    first, *others = (target.network.config.frames for target in targets.values())
    if any(other != first for other in others):
        raise ConfigError(
            f"expected networks that take the same input, got {', '.join(targets)}; measure them "
            "one after the other"
        )
    return first


def _asked(data: str, samples: "Samples", estimator: str) -> dict[str, Any]:
    about = {"spec": data, "simulated": samples.is_simulated}
    return {"data": about, "samples": len(samples), "estimator": estimator}
