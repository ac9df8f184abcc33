"""`norms`: is a network that learnt with sparse gradients robust in norms it was not trained in?"""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Bool

from ..analysis.balls import ball, equal_noise
from ..analysis.measure import first_test_samples, measure_gradients, measure_vulnerability
from ..analysis.vulnerability import VulnerabilityConfig
from ..attacks.suite import PUBLISHED_ESTIMATORS, suite_named
from ..attacks.target import Target
from ..audit.deployed import Deployed
from ..audit.statistics import difference, pairs
from ..audit.wording import points
from ..sim.gradients.estimators import TRAINING
from .bench import SIDES, Bench
from .results import Claim, Found, Measured, Number

L2 = "+l2"
"""Ends the name of a method that trains on attacks in the ℓ2 ball."""
NORMS = {"ℓ∞": "linf", "ℓ2": "l2", "ℓ1": "l1", "ℓ0": "l0"}
WITH_BALL = ("ℓ∞", "ℓ2", "ℓ1")
PAIRS = (("vanilla", "SR"), ("AT ℓ∞", "SR* ℓ∞"), ("AT ℓ2", "SR* ℓ2"))
"""Rows that differ in the penalty alone, without it and with it."""
WORDS = {"on_float": "float", "on_chip": "chip"}
SUITE = "quick"

COLUMNS = (
    "clean",
    *NORMS,
    *(f"ρ ratio {norm}" for norm in WITH_BALL),
    *(f"of a linear f {norm}" for norm in WITH_BALL),
)

Right = dict[tuple[str, str, str], Bool[np.ndarray, " N"]]
"""By row, norm and side, which samples are right clean and under every attack of the suite."""


def matrix(bench: Bench, rows: dict[str, str], columns: tuple[str, ...]) -> Measured:
    """Every row's network under the attacks of every norm, and its vulnerabilities in them."""
    right: Right = {}
    found = []
    for row, method in rows.items():
        deployed = _deployed(bench, method)
        for norm, sides in _attacked(bench, deployed).items():
            right |= {(row, norm, side): mask for side, mask in sides.items()}
            numbers = {side: bench.number(mask) for side, mask in sides.items()}
            found.append(Found.of(row, norm, numbers))
        found += _vulnerabilities(bench, row, deployed)
    assert {entry.column for entry in found} == set(columns)
    return Measured(
        found=tuple(found),
        claims=tuple(_answers(right)),
        numbers={"radii": {norm: radius(bench, norm) for norm in NORMS}},
    )


def radius(bench: Bench, norm: str) -> float:
    """Radius of a norm's ball: random noise as strong as that of ℓ∞ at the usual radius."""
    return equal_noise(bench.epsilon, NORMS[norm], bench.store.data.image_shape)


def _deployed(bench: Bench, method: str) -> Deployed:
    name = method.removesuffix(L2)
    if name == method:
        return bench.deployed(name)
    train = bench.recipe(name).train
    epsilon = equal_noise(train.epsilon, "l2", bench.store.data.image_shape)
    step = 2.5 * epsilon / train.attack_steps
    return bench.deployed(name, attack="pgd-l2", epsilon=epsilon, attack_step_size=step)


def _attacked(bench: Bench, deployed: Deployed) -> dict[str, dict[str, np.ndarray]]:
    """By norm (`clean` first) and side, which samples are left."""
    masks = {"clean": dict(bench.both("clean", deployed, {}, lambda t: bench.clean(t).tolist()))}
    for norm, name in NORMS.items():
        attacks = suite_named(SUITE).within(name).members(PUBLISHED_ESTIMATORS)
        epsilon = radius(bench, norm)
        asked = {"attacks": [repr(attack) for attack in attacks], "radius": epsilon, "norm": name}

        def left(target: Target, given: Any = (attacks, epsilon, name)) -> list[bool]:
            found = bench.survivors(
                target, given[0], epsilon=given[1], norm=given[2], as_published=False
            )
            return found.tolist()

        masks[norm] = dict(bench.both("norms", deployed, asked, left))
    return {
        norm: {side: np.array(mask, dtype=bool) for side, mask in sides.items()}
        for norm, sides in masks.items()
    }


def _vulnerabilities(bench: Bench, row: str, deployed: Deployed) -> Iterator[Found]:
    """Medians over samples of ρ_adv/ρ_rand, and of what a linear f of the same slope would have."""
    samples = first_test_samples(bench.store.data, len(bench.samples), device=bench.store.device)
    for norm in WITH_BALL:
        config = VulnerabilityConfig(
            epsilon=radius(bench, norm),
            norm=NORMS[norm],
            draws=bench.scale.draws,
            seed=bench.seed,
        )

        def measure(target: Target, config: VulnerabilityConfig = config) -> list[float | None]:
            network = target.using(TRAINING)
            measured, _ = measure_vulnerability(network, samples, config)
            linear = ball(config.norm).ratio(measure_gradients(network, samples))
            ratio = measured.adversarial / measured.random
            return [_median(ratio.cpu().numpy()), _median(linear.cpu().numpy())]

        # Its balls reach beyond what an image can be, which the chip does not take.
        _, medians = next(bench.both("rho", deployed, asdict(config), measure))
        for value, column in zip(
            medians, (f"ρ ratio {norm}", f"of a linear f {norm}"), strict=True
        ):
            number = None if value is None else Number(value=value)
            yield Found(row=row, column=column, on_float=number, on_chip=None, unit="")


def _median(values: np.ndarray) -> float | None:
    """Of those that are defined; None where none is."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else None


def _answers(right: Right) -> list[Claim]:
    """What the penalty changes in each norm, and whether that is beyond chance."""
    claims: list[Claim] = []
    every: list[bool | None] = []
    for norm, side in product(NORMS, SIDES):
        told, verdicts = [], []
        for without, penalised in PAIRS:
            table = pairs(right[without, norm, side], right[penalised, norm, side])
            change = difference(table)
            verdicts.append(True if change.low > 0 else False if change.high < 0 else None)
            by = " to ".join(points(100 * end) for end in (change.low, change.high))
            told.append(f"{penalised} − {without} {points(100 * change.value)} ({by})")
        says = f"Sparse gradients raise accuracy under {norm} on the {WORDS[side]}."
        here = "points: " + ", ".join(told)
        claims.append(Claim(says=says, holds=_joined(verdicts), here=here))
        every += verdicts
    summary = Claim(
        says="Sparse gradients improve robustness in norms that were not trained in (the "
        "synthesis asks).",
        holds=_joined(every),
        here=f"of {len(every)} comparisons of the same samples, four norms on both sides, the "
        f"95 % interval is above 0 in {every.count(True)}, below 0 in {every.count(False)}, and "
        f"holds 0 in {every.count(None)}",
    )
    return [summary, *claims]


def _joined(verdicts: list[bool | None]) -> bool | None:
    """True where some are better and none is worse, False the other way round, else None."""
    ups, downs = True in verdicts, False in verdicts
    return None if ups == downs else ups
