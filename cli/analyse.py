"""`spikeproof analyse`: why a network is robust, and what training for it costs and gives."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import ConfigError
from .options import Data, Device, Epsilon, Json, Out, Seed, device_named, number, show
from .progress import RichTracker

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..analysis.measure import Samples
    from ..datasets.images import ImageData
    from ..train.config import Recipe
    from ..train.target import NetworkTarget

analyse = typer.Typer(
    help="Measures input gradients, vulnerability, sweeps over λ, and what methods cost.",
    no_args_is_help=True,
)

Networks = Annotated[
    list[Path], typer.Argument(help="Training folders or .safetensors in them.", metavar="NETWORK")
]
Count = Annotated[int, typer.Option("--samples", help="First N test images.", min=1)]
Format = Annotated[str, typer.Option("--format", help="Of the figure: svg or png.")]
Estimator = Annotated[str, typer.Option(help="How spikes are differentiated.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="key=value, as often as wanted.")]
Limit = Annotated[int | None, typer.Option(help="First N training and test samples.")]


@analyse.command()
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
    _finish(out, "norms", numbers, norms_figure(found), rows, seed, format_, json)


@analyse.command()
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
    _finish(out, "vulnerability", numbers, ratio_figure(found), rows, seed, format_, json)


@analyse.command()
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
    _finish(out, "histogram", numbers, figure, rows, seed, format_, json)


@analyse.command()
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
    _finish(out, "heatmap", numbers, figure, rows, seed, format_, json)


@analyse.command()
def sweep(
    preset: Annotated[str, typer.Argument(help="e.g. cifar-sr-small.")],
    data: Data,
    out: Out,
    weights: Annotated[str, typer.Option(help="λ, as in 0,0.002,0.008.")] = "0,0.002,0.004,0.008",
    samples: Count = 500,
    epsilon: Epsilon = 8 / 255,
    set_: Settings = None,
    limit: Limit = None,
    format_: Format = "svg",
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Trains a network for each λ; accuracy, robust accuracy and norms of each.

    Example: spikeproof analyse sweep cifar-sr-small --data cifar10:data --out runs/sweep
    """
    from ..analysis.figures import sweep_figure
    from ..analysis.results import check_format
    from ..analysis.sweep import SweepConfig
    from ..analysis.sweep import sweep as run
    from ..datasets.images import load

    check_format(format_)
    config = SweepConfig(weights=_numbers(weights), samples=samples, epsilon=epsilon)
    recipe, read = _recipe(preset, set_, seed), load(data, limit=limit)
    used = device_named(device)
    found = run(config, recipe, read, out, device=used, tracker=RichTracker())
    rows = {f"λ = {row['penalty_weight']:g}": row for row in found}
    asked = {"preset": preset, "config": recipe.train.to_dict(), "data": _named(read, data)}
    numbers = {"rows": found, "epsilon": epsilon, "steps": config.steps, **asked}
    _finish(out, "sweep", numbers, sweep_figure(found), rows, seed, format_, json)


@analyse.command()
def cost(
    presets: Annotated[
        list[str], typer.Argument(help="e.g. cifar-vanilla cifar-at; the first is 1.")
    ],
    data: Data,
    out: Out,
    set_: Settings = None,
    limit: Limit = None,
    format_: Format = "svg",
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Seconds that one epoch of each preset takes.

    Example: spikeproof analyse cost digits-vanilla digits-srstar --data digits --out runs/cost
    """
    from ..analysis.cost import cost as run
    from ..analysis.figures import cost_figure
    from ..analysis.results import check_format
    from ..datasets.images import load

    check_format(format_)
    recipes = {name: _recipe(name, set_, seed) for name in presets}
    read, used = load(data, limit=limit), device_named(device)
    found = run(recipes, read, device=used, tracker=RichTracker())
    rows = {row["method"]: row for row in found}
    numbers = {"rows": found, "device": used, "data": _named(read, data)}
    _finish(out, "cost", numbers, cost_figure(found), rows, seed, format_, json)


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
    used, targets = device_named(device), {}
    for name, path in zip(names, networks, strict=True):
        network = load_network(path).to(used)
        targets[name] = NetworkTarget(network, name=name, estimator_name=estimator)
    return targets, first_test_samples(load(data), count, device=used)


def _recipe(preset_name: str, settings: list[str] | None, seed: int) -> "Recipe":
    from ..train.config import change, parse_settings
    from ..train.presets import preset

    return change(preset(preset_name), {**parse_settings(settings or []), "seed": seed})


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(number(word) for word in text.split(","))
    except ValueError:
        raise ConfigError(
            f"expected weights as 0,0.002,0.008, got {text!r}; separate numbers by commas"
        ) from None


def _asked(data: str, samples: "Samples", estimator: str) -> dict[str, Any]:
    return {"data": {"spec": data}, "samples": len(samples), "estimator": estimator}


def _named(read: "ImageData", spec: str) -> dict[str, Any]:
    from ..datasets.images import fingerprint

    return {"spec": spec, "fingerprint": fingerprint(read)}


def _finish(
    out: Path,
    name: str,
    numbers: Mapping[str, Any],
    figure: "Figure",
    rows: Mapping[str, Mapping[str, Any]],
    seed: int,
    figure_format: str,
    as_json: bool,
) -> None:
    """Writes numbers and figure, and prints a line a row."""
    from ..analysis.results import write_results

    table, picture = write_results(
        out, name, numbers, figure, seed=seed, figure_format=figure_format
    )
    lines = [f"{label:24} " + "  ".join(_cells(row)) for label, row in rows.items()]
    found = {"json": str(table), "figure": str(picture), "rows": rows}
    show(found, as_json=as_json, lines=[f"wrote {table} and {picture}", *lines])


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [f"{key} {v:.4g}" if isinstance(v, float) else f"{key} {v}" for key, v in row.items()]
