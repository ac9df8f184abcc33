"""Tables 4 and 6, and Fig. 1: accuracy under single attacks at chosen radii and widths."""

from ..attacks.attack import Attack
from ..attacks.lattice import LEVELS
from ..attacks.suite import PUBLISHED_ESTIMATORS, attack_named, crossed
from ..attacks.target import Target
from ..sim.gradients.estimators import SWEEP, TRAINING
from .bench import Bench
from .results import Found, Measured, Number

NOISE = 0.1
"""Radius of Table 4, in input units."""
MULTIPLES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Radii of Fig. 1, in units of the radius that networks are attacked at elsewhere."""
ENSEMBLES: dict[str, tuple[str, ...]] = {
    "PGD10, no ensemble": (TRAINING,),
    "PGD10, ensemble": PUBLISHED_ESTIMATORS,
    "PGD10, γ 0.1 to 3.0": tuple(SWEEP),
}
"""Columns of Table 6: spike derivatives that are tried one after the other."""


def noise(bench: Bench, rows: dict[str, str], columns: tuple[str, ...]) -> Measured:
    """Table 4: accuracy on images that one uniform draw within 0.1 has changed."""
    (column,) = columns
    attacks = (attack_named("noise"),)
    found = []
    for row, method in rows.items():
        numbers = _both(bench, method, column, attacks, epsilon=NOISE, from_all=True)
        found.append(Found.of(row, column, numbers))
    return Measured(found=tuple(found))


def widths(bench: Bench, rows: dict[str, str], columns: tuple[str, ...]) -> Measured:
    """Table 6: PGD10 with one spike derivative, the published four, and thirty widths."""
    found = []
    for row, method in rows.items():
        for column in columns:
            attacks = crossed(["pgd10"], ENSEMBLES[column])
            numbers = _both(bench, method, column, attacks, epsilon=bench.epsilon)
            found.append(Found.of(row, column, numbers))
    return Measured(found=tuple(found))


def radii(bench: Bench, rows: dict[str, str], columns: tuple[str, ...]) -> Measured:
    """Fig. 1: accuracy on images changed at random and by FGSM, over the radius."""
    kinds = dict(zip(columns, ("noise", "fgsm"), strict=True))
    found = []
    for _, method in rows.items():
        for level in levels(bench.threat(bench.epsilon).levels):
            for column, name in kinds.items():
                attacks = crossed([name], (TRAINING,))
                numbers = _both(
                    bench, method, column, attacks, epsilon=level / LEVELS, from_all=True
                )
                found.append(Found.of(f"{level}/255", column, numbers))
    return Measured(found=tuple(found))


def levels(usual: int) -> list[int]:
    """The radii of Fig. 1 as levels of 255, each once; `usual` is that of the other attacks."""
    return list(dict.fromkeys(min(round(usual * each), LEVELS) for each in MULTIPLES))


def _both(
    bench: Bench,
    method: str,
    name: str,
    attacks: tuple[Attack, ...],
    *,
    epsilon: float,
    from_all: bool = False,
) -> dict[str, Number]:
    """By side, the share of samples that the attacks leave."""
    asked = {"attacks": [repr(attack) for attack in attacks], "epsilon": epsilon}
    deployed = bench.deployed(method)

    def left(target: Target) -> int:
        found = bench.survivors(target, attacks, epsilon=epsilon, from_all=from_all)
        return int(found.sum())

    marks = {**asked, "from_all": from_all}
    return {
        side: bench.number(count) for side, count in bench.both("points", deployed, marks, left)
    }
