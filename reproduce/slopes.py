"""Figs. 3 to 6: what the penalty's weight does, and how sparse input gradients are."""

from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from ..analysis.figures import density_figure, heatmap_figure
from ..analysis.gradients import norms
from ..analysis.measure import (
    Samples,
    common_edges,
    density,
    first_test_samples,
    heatmap,
    measure_gradients,
    pictures,
)
from ..attacks.suite import PUBLISHED_ESTIMATORS, crossed
from ..attacks.target import Target
from ..audit.deployed import Deployed
from ..sim.gradients.estimators import TRAINING
from .bench import SIDES, Bench
from .results import Found, Measured, Number

NEAR_ZERO = 0.05
"""What of the range of all networks' gradient components counts as near zero."""
BRIGHT = 0.1
"""Of a map's largest value: pixels above it are seen."""
SHOWN = 6
NAMES = {"on_float": "float", "on_chip": "chip"}


def sweep(bench: Bench, rows: dict[str, str], columns: tuple[str, ...]) -> Measured:
    """Figs. 3 and 6: clean accuracy, accuracy under PGD10, and gradient norms over λ."""
    found = []
    (method,) = rows.values()
    attacks = crossed(["pgd10"], PUBLISHED_ESTIMATORS)
    for weight in bench.scale.weights:
        deployed = bench.deployed(method, penalty_weight=weight)

        def measure(target: Target) -> dict[str, float]:
            left = bench.survivors(target, attacks, epsilon=bench.epsilon)
            sizes = norms(measure_gradients(target.using(TRAINING), _samples(bench)))
            return {
                "clean": int(bench.clean(target).sum()),
                "left": int(left.sum()),
                **{key: getattr(sizes, key).double().mean().item() for key in ("l1", "l2")},
            }

        asked = {"attacks": [repr(attack) for attack in attacks], "epsilon": bench.epsilon}
        sides = dict(bench.both("sweep", deployed, asked, measure))
        for column, (key, unit) in zip(columns, SWEPT.items(), strict=True):
            numbers = {side: _swept(bench, values[key], unit) for side, values in sides.items()}
            found.append(Found.of(f"λ = {weight:g}", column, numbers, unit=unit))
    return Measured(found=tuple(found))


SWEPT = {"clean": "%", "left": "%", "l1": "", "l2": ""}
"""What is measured of each network of a sweep, in the order of the columns, and its unit."""


def distribution(bench: Bench, rows: dict[str, str], columns: tuple[str, ...]) -> Measured:
    """Fig. 4: how the components of ∇f are distributed."""
    gradients = _gradients(bench, rows)
    edges = common_edges(list(gradients.values()))
    near = NEAR_ZERO * float(edges[-1])
    found = _found(bench, rows, columns, lambda row, side: _share_near(gradients[row, side], near))
    named = {_name(*key): value for key, value in gradients.items()}
    densities = {name: density(gradient, edges=edges) for name, gradient in named.items()}
    figure = density_figure(edges, {name: part["density"] for name, part in densities.items()})
    return Measured(
        found=found, figure=figure, numbers={"edges": edges.tolist(), "near": near, **densities}
    )


def maps(bench: Bench, rows: dict[str, str], columns: tuple[str, ...]) -> Measured:
    """Fig. 5: where |∇f| is large, on the first test images."""
    gradients = _gradients(bench, rows)
    found = _found(bench, rows, columns, lambda row, side: _share_bright(gradients[row, side]))
    samples = _samples(bench)
    are_frames = bench.recipe("vanilla").network.frames is not None
    images = pictures(samples, are_frames=are_frames)[:SHOWN]
    drawn = {_name(*key): heatmap(gradient)[:SHOWN] for key, gradient in gradients.items()}
    return Measured(found=found, figure=heatmap_figure(images, drawn))


def _gradients(bench: Bench, rows: dict[str, str]) -> dict[tuple[str, str], Tensor]:
    """By row and side, ∇f at the samples."""
    found = {}
    for row, method in rows.items():
        deployed = bench.deployed(method)
        for side, target in zip(SIDES, _targets(deployed), strict=True):
            found[row, side] = measure_gradients(target.using(TRAINING), _samples(bench))
    return found


def _targets(deployed: Deployed) -> tuple[Target, Target]:
    return deployed.float_target, deployed.hardware_target


def _found(
    bench: Bench, rows: dict[str, str], columns: tuple[str, ...], share: Any
) -> tuple[Found, ...]:
    (column,) = columns
    return tuple(
        Found.of(row, column, {side: Number(value=share(row, side)) for side in SIDES})
        for row in rows
    )


def _share_near(gradient: Float[Tensor, "N *axes"], near: float) -> float:
    """Percent of the components that are at most `near` in size."""
    return 100 * (gradient.abs() <= near).double().mean().item()


def _share_bright(gradient: Float[Tensor, "N C H W"]) -> float:
    """Percent of the pixels that have more than a tenth of their map's largest |∇f|."""
    drawn = heatmap(gradient)
    highest = drawn.max(axis=(1, 2), keepdims=True)
    return 100 * float((drawn > BRIGHT * np.maximum(highest, np.finfo(float).tiny)).mean())


def _swept(bench: Bench, value: float, unit: str) -> Number:
    return bench.number(int(value)) if unit == "%" else Number(value=value)


def _samples(bench: Bench) -> Samples:
    return first_test_samples(bench.store.data, len(bench.samples), device=bench.store.device)


def _name(row: str, side: str) -> str:
    return f"{row}, {NAMES[side]}"
