"""`spikeproof analyse` of networks that it trains itself: `sweep`, `cost`, `methods`, `pairs`."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import ConfigError
from .analysis_results import Count, Format, finish
from .options import (
    Data,
    Device,
    Epsilon,
    Json,
    Out,
    Seed,
    full_float_device,
    number,
    radius,
)
from .progress import RichTracker

if TYPE_CHECKING:
    from ..datasets.frames import FrameConfig
    from ..datasets.images import ImageData
    from ..train.config import Recipe

Settings = Annotated[list[str] | None, typer.Option("--set", help="key=value, as often as wanted.")]
Limit = Annotated[int | None, typer.Option(help="First N training and test samples.")]


def sweep(
    preset: Annotated[str, typer.Argument(help="e.g. cifar-sr-small.")],
    data: Data,
    out: Out,
    weights: Annotated[str, typer.Option(help="λ, as in 0,0.002,0.008.")] = "0,0.002,0.004,0.008",
    samples: Count = 500,
    epsilon: Epsilon = None,
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
    recipe = _recipe(preset, set_, seed)
    frames = recipe.network.frames
    size = radius(epsilon, frames)
    config = SweepConfig(
        weights=_numbers(weights, "weights as 0,0.002,0.008"), samples=samples, epsilon=size
    )
    read = load(data, limit=limit, frames=frames, tracker=RichTracker())
    used = full_float_device(device)
    found = run(config, recipe, read, out, device=used, tracker=RichTracker())
    rows = {f"λ = {row['penalty_weight']:g}": row for row in found}
    asked = {"preset": preset, "config": recipe.train.to_dict(), "data": _named(read, data)}
    numbers = {"rows": found, "epsilon": size, "steps": config.steps, **asked}
    finish(out, "sweep", numbers, sweep_figure(found), rows, seed, format_, json)


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

    check_format(format_)
    recipes = {name: _recipe(name, set_, seed) for name in presets}
    read, used = _read(data, limit, recipes), full_float_device(device)
    found = run(recipes, read, device=used, tracker=RichTracker())
    rows = {row["method"]: row for row in found}
    numbers = {"rows": found, "device": used, "data": _named(read, data)}
    finish(out, "cost", numbers, cost_figure(found), rows, seed, format_, json)


def methods(
    presets: Annotated[list[str], typer.Argument(help="e.g. cifar-vanilla-small cifar-at-small.")],
    data: Data,
    out: Out,
    seeds: Annotated[str, typer.Option(help="Trainings of each preset, as in 0,1.")] = "0,1",
    samples: Count = 1000,
    epsilon: Epsilon = None,
    noise: Annotated[
        float, typer.Option(parser=number, metavar="NUMBER", help="Radius of the noise.")
    ] = 0.1,
    set_: Settings = None,
    limit: Limit = None,
    format_: Format = "svg",
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Trains each preset with each seed; accuracy clean, under noise, FGSM and PGD10.

    A training or measurement that is already in the folder is resumed or kept.

    Example: spikeproof analyse methods digits-at digits-srstar --data digits --out runs/methods
    """
    from ..analysis.figures import methods_figure
    from ..analysis.methods import COLUMNS, MethodsConfig, compare_methods, orders, table
    from ..analysis.results import check_format
    from ..core.files import write_text

    check_format(format_)
    numbered = _seeds(seeds)
    recipes = {name: _recipe(name, set_, numbered[0]) for name in presets}
    size = radius(epsilon, _frames(recipes))
    config = MethodsConfig(seeds=numbered, samples=samples, epsilon=size, noise=noise)
    read, used = _read(data, limit, recipes), full_float_device(device)
    found = compare_methods(config, recipes, read, out, device=used, tracker=RichTracker())
    write_text(out / "methods.md", table(found) + "\n")
    rows = {
        f"{row['name']} seed {row['seed']}": {key: row[key] / row["samples"] for key in COLUMNS}
        for row in found
    }
    asked = {"config": asdict(config), "settings": set_ or [], "data": _named(read, data)}
    numbers = {"rows": found, "order_under_pgd10": orders(found, column="pgd10"), **asked}
    finish(out, "methods", numbers, methods_figure(found), rows, config.seeds[0], format_, json)


def pairs(
    preset: Annotated[str, typer.Argument(help="e.g. pairs-vanilla.")],
    data: Annotated[
        Path, typer.Option("--data", help="A folder with NMNIST/ and MNIST's pictures.")
    ],
    out: Out,
    samples: Count = 1000,
    epsilons: Annotated[str, typer.Option(help="Radii, as in 1/255,8/255.")] = "1/255,8/255",
    set_: Settings = None,
    limit: Annotated[int | None, typer.Option(help="First N training and test scenes.")] = None,
    format_: Format = "svg",
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Trains on pictures, on recordings of the same scenes, and on both; compares scene by scene.

    Example: spikeproof analyse pairs pairs-vanilla --data data --out runs/pairs
    """
    from ..analysis.figures import methods_figure
    from ..analysis.pairs import PairsConfig, compare_pairs, table
    from ..analysis.results import check_format
    from ..core.files import write_text
    from ..datasets.images import load

    check_format(format_)
    config = PairsConfig(samples=samples, epsilons=_numbers(epsilons, "radii as 1/255,8/255"))
    recipe = _recipe(preset, set_, seed)
    specs = {view: f"mnist-pairs-{view}:{data}" for view in ("recordings", "pictures")}
    views = {
        view: load(spec, limit=limit, frames=recipe.network.frames, tracker=RichTracker())
        for view, spec in specs.items()
    }
    used = full_float_device(device)
    found = compare_pairs(config, recipe, views, out, device=used, tracker=RichTracker())
    write_text(out / "pairs.md", table(found, config.columns) + "\n")
    bars = [{**row, "name": f"{row['trained on']}: {row['shown']}"} for row in found["rows"]]
    rows = {bar["name"]: {key: bar[key] / bar["samples"] for key in config.columns} for bar in bars}
    asked = {
        "config": asdict(config),
        "settings": set_ or [],
        "training": recipe.train.to_dict(),
        "data": {view: _named(read, specs[view]) for view, read in views.items()},
    }
    figure = methods_figure(bars, config.columns)
    finish(out, "pairs", {**found, **asked}, figure, rows, seed, format_, json)


def _read(data: str, limit: int | None, recipes: "Mapping[str, Recipe]") -> "ImageData":
    """The data, as all recipes take it."""
    from ..datasets.images import load

    return load(data, limit=limit, frames=_frames(recipes), tracker=RichTracker())


def _frames(recipes: "Mapping[str, Recipe]") -> "FrameConfig | None":
    """How recordings become the input of all recipes; None if they take images.

    Raises:
        ConfigError: If they take different frames of recordings.
    """
    first, *others = (recipe.network.frames for recipe in recipes.values())
    if any(other != first for other in others):
        raise ConfigError(
            f"expected presets that take the same input, got {', '.join(recipes)}; compare those "
            "of one data set"
        )
    return first


def _recipe(preset_name: str, settings: list[str] | None, seed: int) -> "Recipe":
    from ..train.config import change, parse_settings
    from ..train.presets import preset

    known = parse_settings(settings or [])
    if "seed" in known:
        raise ConfigError(
            f"expected no seed in --set, got {known['seed']}; give it by the option for seeds"
        )
    return change(preset(preset_name), {**known, "seed": seed})


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise ConfigError(
            f"expected seeds as 0,1, got {text!r}; separate whole numbers by commas"
        ) from None


def _numbers(text: str, what: str) -> tuple[float, ...]:
    """Numbers between commas; `what` names them, with an example."""
    try:
        return tuple(number(word) for word in text.split(","))
    except ValueError:
        raise ConfigError(f"expected {what}, got {text!r}; separate numbers by commas") from None


def _named(read: "ImageData", spec: str) -> dict[str, Any]:
    from ..datasets.images import fingerprint

    return {"spec": spec, "fingerprint": fingerprint(read), "simulated": read.is_simulated}
