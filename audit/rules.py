"""Signs that robustness is an artefact of broken gradients rather than of the network.

After Athalye et al. 2018 and Carlini et al. 2019, each measured for each of the two models. What a
sound audit shows stands in `meaning`, with its threshold.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..attacks.lattice import PIXELS
from ..attacks.suite import attack_named
from .cells import CORNERS, other
from .evidence import Evidence, Measured, unmeasured
from .ledger import BLACK_BOX, CONTROL, PROBE, SEARCH, SUITE, WIDTHS
from .statistics import exceeds, rise, tail

GREY_LEVEL = 128
"""From this level on every image can be turned into the same grey one."""
LEVELS = 255
LEFTOVER = 0.02
ZERO_SHARE = 0.5
MISSED = 0.05
AS_STRONG = 0.05
MISLED = 0.35


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How one alarm is measured, and above what it is raised."""

    name: str
    threshold: float
    meaning: str
    measure: Callable[[Evidence, str], Measured]


def _large_epsilon(evidence: Evidence, side: str) -> Measured:
    curve = evidence.curve[side]
    least = LEVELS if evidence.config.norm == PIXELS else GREY_LEVEL
    levels = [level for level in curve if level >= least]
    if not levels:
        return unmeasured(f"the curve ends at {max(curve)}/255, below {least}/255")
    return Measured(value=max(_excess(evidence, curve[level], level) for level in levels))


def _excess(evidence: Evidence, standing: np.ndarray, level: int) -> float:
    """Share of samples that stand beyond what any classifier can keep in a ball so large."""
    counts = np.bincount(evidence.labels[: len(standing)])
    kept = 0 if level >= LEVELS else int(counts.max())
    return (int(standing.sum()) - kept) / len(standing)


def _rising(evidence: Evidence, side: str) -> Measured:
    curve = evidence.curve[side]
    levels = sorted(curve)
    if len(levels) < 2:
        return unmeasured("the curve has fewer than two points")
    return _greatest([rise(curve[a], curve[b]) for a, b in pairwise(levels)])


def _more_steps(evidence: Evidence, side: str) -> Measured:
    rises = [rise(a, b) for run in evidence.step_runs(side) for a, b in pairwise(run)]
    return _greatest(rises) if rises else unmeasured("PGD runs with one number of steps only")


def _one_step(evidence: Evidence, side: str) -> Measured:
    steps = {name: attack_named(name).steps for name in evidence.names(side)}
    single, several = (
        [evidence.fooled(side, attack=name) for name, k in steps.items() if is_wanted(k)]
        for is_wanted in (lambda k: k == 1, lambda k: k > 1)
    )
    if not single or not several:
        return unmeasured("the suite runs one-step attacks only, or none")
    quickest, strongest = (~max(found, key=np.count_nonzero) for found in (single, several))
    value, p = rise(quickest, strongest)
    return Measured(value=value, p=p)


def _greatest(rises: list[tuple[float, float]]) -> Measured:
    value, p = min(rises, key=lambda found: (found[1], -found[0]))
    return Measured(value=value, p=p, comparisons=len(rises))


def _zero_gradients(evidence: Evidence, side: str) -> Measured:
    ledger = evidence.ledger
    found: dict[str | None, list[float]] = {}
    for attack, estimator in ledger.members(SUITE, side, side):
        where = {"attack": attack, "estimator": estimator, "source": side, "evaluated_on": side}
        mean = ledger.mean("zero_gradients", role=SUITE, **where)
        if mean is not None:
            found.setdefault(estimator, []).append(mean)
    if not found:
        return unmeasured("the suite takes no gradients")
    return Measured(value=min(sum(means) / len(means) for means in found.values()))


def _noise(evidence: Evidence, side: str) -> Measured:
    fgsm = evidence.largest_loss(side, SUITE, "fgsm")
    corners = evidence.largest_loss(side, CONTROL, CORNERS)
    right = evidence.ledger.clean_right[side]
    if fgsm is None or corners is None or not right.any():
        return unmeasured("the suite runs no FGSM, or no sample is right")
    return _beyond((corners >= fgsm)[right], AS_STRONG)


def _misled(evidence: Evidence, side: str) -> Measured:
    ledger, found = evidence.ledger, []
    for _, estimator in ledger.members(PROBE, side, side):
        where = {"role": PROBE, "source": side, "evaluated_on": side, "estimator": estimator}
        found.append(tuple(ledger.total(name, **where) for name in ("misled", "directions")))
    found = [(wrong, moving) for wrong, moving in found if moving]
    if not found:
        return unmeasured("no random direction changes the loss")
    wrong, moving = min(found, key=lambda counts: counts[0] / counts[1])
    return Measured(value=wrong / moving, p=tail(wrong, moving, MISLED))


def _second_look(role: str, nothing: str) -> Callable[[Evidence, str], Measured]:
    def measure(evidence: Evidence, side: str) -> Measured:
        broken, left = evidence.second_look(side, role), evidence.standing(side)
        if broken is None or not left.any():
            return unmeasured(nothing if broken is None else "the suite leaves no sample")
        return _beyond(broken[left], MISSED)

    return measure


def _beyond(happened: np.ndarray, threshold: float) -> Measured:
    return Measured(value=float(happened.mean()), p=exceeds(happened, threshold))


def _black_box(evidence: Evidence, side: str) -> Measured:
    left = evidence.standing(side)
    if not left.any():
        return unmeasured("the suite leaves no sample")
    carried = evidence.ledger.survivors(SUITE, other(side), side)
    for source in evidence.ledger.sources(BLACK_BOX):
        carried &= evidence.ledger.survivors(BLACK_BOX, source, side)
    return _beyond(~carried[left], MISSED)


RULES = (
    Rule(
        name="black_box_beats_white_box",
        threshold=MISSED,
        measure=_black_box,
        meaning="Share of the samples left by the model's own gradients, any visited point "
        "counted, that attacks carried over from the other model, and from networks trained apart "
        "where there are any, break. Above 5 % beyond chance, "
        "an attacker without access finds what one with it does not: the gradients mislead.",
    ),
    Rule(
        name="search_beats_gradients",
        threshold=MISSED,
        measure=_second_look(SEARCH, "no search was run"),
        meaning="Share of the samples left by the suite that 200 queries of Square Attack break. "
        "Above 5 % beyond chance, random search finds what gradients do not.",
    ),
    Rule(
        name="verdict_moves_with_width",
        threshold=MISSED,
        measure=_second_look(WIDTHS, "the model offers no other surrogate widths"),
        meaning="Share of the samples left by the suite that PGD10 breaks with surrogates half and "
        "twice as wide. Above 5 % beyond chance, the verdict depends on how spikes are "
        "differentiated.",
    ),
    Rule(
        name="large_epsilon",
        threshold=LEFTOVER,
        measure=_large_epsilon,
        meaning="Share of samples that stand at 128/255 or more (in other norms in the ball that "
        "holds such changes) beyond what any classifier can keep: there all images can become one "
        "grey image, which only the largest class survives; at 255/255 none can. Above 2 %, the "
        "attack fails, not the threat.",
    ),
    Rule(
        name="rises_with_epsilon",
        threshold=0.0,
        measure=_rising,
        meaning="Rise of accuracy between neighbouring epsilons of the curve, the most significant "
        "one. Above 0 beyond chance, a larger ball does not contain the smaller one's attacks: the "
        "search gets lost.",
    ),
    Rule(
        name="rises_with_steps",
        threshold=0.0,
        measure=_more_steps,
        meaning="Rise of robust accuracy as PGD takes more steps, the most significant one. Above "
        "0 beyond chance, gradients do not point anywhere.",
    ),
    Rule(
        name="one_step_beats_iterative",
        threshold=0.0,
        measure=_one_step,
        meaning="Accuracy under the strongest iterative attack minus that under the strongest "
        "one-step attack. Above 0 beyond chance, following the gradient leads away from what one "
        "step finds.",
    ),
    Rule(
        name="zero_gradients",
        threshold=ZERO_SHARE,
        measure=_zero_gradients,
        meaning="Share of input gradient entries that are exactly zero, for the estimator with the "
        "fewest. Above a half, attacks cannot see most of the image.",
    ),
    Rule(
        name="gradient_misleads",
        threshold=MISLED,
        measure=_misled,
        meaning="Share of random directions along which the loss changes otherwise than the "
        "gradient says, for the estimator that is wrong least. A coin is wrong in 50 %; above 35 % "
        "beyond chance, the gradient knows little of the loss.",
    ),
    Rule(
        name="noise_as_strong_as_fgsm",
        threshold=AS_STRONG,
        measure=_noise,
        meaning="Share of samples on which the best of random corners of the ball, as many as "
        "there are estimators, reaches the loss of the best FGSM. Above 5 % beyond chance, "
        "the gradient is worth little more than a coin.",
    ),
)
