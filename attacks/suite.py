"""The table of attacks, and the suites that audits run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from jaxtyping import Bool
from torch import Tensor

from ..core.choice import chosen
from ..core.errors import ConfigError
from .apgd import APGD, TargetedAPGD
from .attack import Attack
from .counts import Counts
from .fgsm import FGSM, RFGSM
from .lattice import LINF
from .mifgsm import MIFGSM
from .noise import Corners, Noise
from .pgd import PGD
from .rays import RayS
from .retiming import Retiming
from .sa_pgd import SAPGD
from .sda import SDA
from .sparse_rs import SparseRS
from .spike_fool import SpikeFool
from .square import Square
from .trial import Attempt

PUBLISHED_STEP = 0.01
"""Of every PGD of Liu et al. 2024, Appendix E, in input units."""

PUBLISHED_ESTIMATORS = ("triangle", "sigmoid", "arctan", "rga")
"""Spike derivatives of Liu et al. 2024, Appendix E."""

SHARPEST = (
    "assg",
    "triangle-detached",
    "rga",
    "triangle",
    "arctan",
    "pdsg",
    "hart",
    "bptr",
    "straight-through",
)
"""Strong ones of every kind, the reset attached and detached, in the order of preference where
nothing says who is strongest on the network at hand."""

ATTACKS: dict[str, Attack] = {
    attack.name: attack
    for attack in (
        Noise(name="noise"),
        Corners(name="corners"),
        FGSM(name="fgsm"),
        RFGSM(name="rfgsm"),
        PGD(name="pgd3-scaled", steps=3),
        PGD(name="pgd10-scaled", steps=10),
        PGD(name="pgd50-scaled", steps=50),
        PGD(name="pgd10", steps=10, step_size=PUBLISHED_STEP),
        PGD(name="pgd30", steps=30, step_size=PUBLISHED_STEP),
        PGD(name="pgd50", steps=50, step_size=PUBLISHED_STEP),
        APGD(name="apgd10", steps=10),
        APGD(name="apgd50", steps=50),
        APGD(name="apgd50-dlr", steps=50, loss="dlr"),
        APGD(name="apgd50-f_y", steps=50, loss="f_y"),
        TargetedAPGD(name="apgd50-t", steps=50),
        MIFGSM(name="mifgsm10", steps=10),
        SAPGD(name="sapgd100", steps=100),
        SAPGD(name="sapgd100-dlr", steps=100, loss="dlr"),
        Square(name="square200", steps=200),
        Square(name="square2000", steps=2000),
        Square(name="square5000", steps=5000),
        SparseRS(name="sparse-rs2000", steps=2000),
        SparseRS(name="sparse-rs5000", steps=5000),
        RayS(name="rays200", steps=200),
        Counts(name="counts200", steps=10),
        SDA(name="sda4", steps=4),
        Retiming(name="retiming-far1", steps=20, norm="inf", limit=1),
        Retiming(name="retiming-sum2000", steps=40, norm="1", limit=2000),
        Retiming(name="retiming-moved1000", steps=40, norm="0", limit=1000),
        SpikeFool(name="spikefool4", steps=4),
    )
}
"""Every attack by name; a new one is a file and a line here."""


@dataclass(frozen=True, kw_only=True)
class Wave:
    """Attacks, and with how many spike derivatives they are run: the first of a ranking, or all."""

    attacks: tuple[str, ...]
    first: int | None = None


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Attacks that are run together, and the rule that counts their successes.

    Args:
        name: Its key in the table of suites.
        attacks: Names of attacks.
        as_published: Whether an attack succeeds by its published definition, for most the last
            iterate alone; else at any visited point.
        estimators: Spike derivatives that they are run with, where the target has them.
        waves: What pursues the samples that are left, white box only, one after the other.
        elsewhere: Names of attacks that other norms than linf have besides, where published step
            sizes mean nothing.
        waves_elsewhere: And what pursues the samples that are left there besides.
    """

    name: str
    attacks: tuple[str, ...]
    as_published: bool = False
    estimators: tuple[str, ...] = PUBLISHED_ESTIMATORS
    waves: tuple[Wave, ...] = ()
    elsewhere: tuple[str, ...] = ()
    waves_elsewhere: tuple[Wave, ...] = ()

    @property
    def ranked(self) -> int:
        """How many spike derivatives its waves want ranked; 0 where they take all there are."""
        return max((wave.first or 0 for wave in self.waves), default=0)

    @property
    def needs_frames(self) -> bool:
        """Whether an attack of it changes events, so that images cannot be attacked."""
        return any(attack_named(name).needs_frames for name in self.attacks)

    def within(self, norm: str) -> "Suite":
        """The suite with those attacks that search the balls of a norm.

        Raises:
            ConfigError: If it is a published one, or nothing is left of it.
        """
        if norm == LINF:
            return self
        if self.as_published:
            raise ConfigError(
                f"expected the norm {LINF} for the suite {self.name!r}, which is as published, got "
                f"{norm!r}; choose another suite"
            )
        attacks = _searching((*self.attacks, *self.elsewhere), norm)
        if not attacks:
            raise ConfigError(
                f"expected a suite with attacks in the norm {norm}, got {self.name!r} without; "
                "choose quick"
            )
        waves = (
            replace(wave, attacks=_searching(wave.attacks, norm))
            for wave in (*self.waves, *self.waves_elsewhere)
        )
        return replace(self, attacks=attacks, waves=tuple(wave for wave in waves if wave.attacks))

    def without(self, norm: str) -> tuple[str, ...]:
        """Names of the attacks that do not search the balls of a norm."""
        names = chain(self.attacks, *(wave.attacks for wave in self.waves))
        return tuple(name for name in names if not attack_named(name).searches(norm))

    def pursuers(self, ranking: Sequence[str], *, restarts: int = 1) -> tuple[Attack, ...]:
        """All waves, in order, each attack with each estimator once.

        Args:
            ranking: Spike derivatives of the target, the strongest first.
            restarts: For attacks with a random start.
        """
        waves = (
            crossed(wave.attacks, ranking[: wave.first], restarts=restarts) for wave in self.waves
        )
        return tuple(dict.fromkeys(chain.from_iterable(waves)))

    def members(self, estimators: Sequence[str], *, restarts: int = 1) -> tuple[Attack, ...]:
        """Each attack with each estimator that it has use for.

        Args:
            estimators: Spike derivatives of the target.
            restarts: For attacks with a random start.
        """
        return crossed(self.attacks, estimators, restarts=restarts)

    def fooled(self, attack: Attack, attempt: Attempt) -> Bool[Tensor, " N"]:
        """Which samples count as fooled; those that are misclassified clean are the caller's."""
        if self.as_published and attack.counts_last:
            return attempt.fooled_last
        return attempt.fooled_any


def _searching(names: Sequence[str], norm: str) -> tuple[str, ...]:
    return tuple(name for name in names if attack_named(name).searches(norm))


def usable(wanted: Sequence[str], offered: Sequence[str]) -> tuple[str, ...]:
    """Those wanted that are offered; where none is, all that are offered."""
    return tuple(name for name in wanted if name in offered) or tuple(offered)


def crossed(
    names: Sequence[str], estimators: Sequence[str], *, restarts: int = 1
) -> tuple[Attack, ...]:
    """Each attack with each estimator that it has use for; restarts for those that are random."""
    return tuple(
        replace(attack, estimator=estimator, restarts=restarts if attack.is_random else 1)
        for attack in map(attack_named, names)
        for estimator in (estimators if attack.takes_gradients else (None,))
    )


PUBLISHED_AND_CARRIED = ("fgsm", "rfgsm", "pgd10", "pgd30", "pgd50", "apgd10", "mifgsm10")
"""Those of Liu et al. 2024, and MI-FGSM, which carries over best from one model to another."""

SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite(name="quick", attacks=("fgsm", "pgd10-scaled", "apgd10")),
        Suite(
            name="paper",
            attacks=("fgsm", "rfgsm", "pgd10", "pgd30", "pgd50", "apgd10"),
            as_published=True,
        ),
        Suite(name="paper-frames", attacks=("fgsm", "pgd50"), as_published=True),
        Suite(
            name="full",
            attacks=PUBLISHED_AND_CARRIED,
            waves=(
                Wave(attacks=("apgd50", "sapgd100"), first=5),
                Wave(attacks=("apgd50-dlr", "apgd50-f_y"), first=3),
                Wave(attacks=("apgd50-t",), first=2),
                Wave(attacks=("square2000", "rays200")),
            ),
            elsewhere=("pgd10-scaled", "pgd50-scaled"),
            waves_elsewhere=(Wave(attacks=("sparse-rs2000",)),),
        ),
        Suite(
            name="exhaustive",
            attacks=PUBLISHED_AND_CARRIED,
            waves=(
                Wave(attacks=("apgd50", "sapgd100")),
                Wave(attacks=("apgd50-dlr", "apgd50-f_y", "apgd50-t", "sapgd100-dlr")),
                Wave(attacks=("square5000", "rays200")),
            ),
            elsewhere=("pgd10-scaled", "pgd50-scaled"),
            waves_elsewhere=(Wave(attacks=("sparse-rs5000",)),),
        ),
        Suite(
            name="events",
            attacks=(
                "fgsm",
                "pgd50",
                "counts200",
                "sda4",
                "retiming-far1",
                "retiming-sum2000",
                "retiming-moved1000",
                "spikefool4",
            ),
            estimators=("triangle", "pdsg"),
        ),
    )
}
"""`paper` is the suite of Liu et al. 2024 for images, `paper-frames` theirs for frames of events.
`full` contains the first, any visited point counted, and pursues what is left with the estimators
that a trial on other images ranks first; `exhaustive` does so with all of them. `events` is for
recordings: its last six attacks change events by budgets of their own, whatever epsilon."""


def attack_named(name: str) -> Attack:
    """The attack called `name`.

    Raises:
        ConfigError: If there is none.
    """
    return chosen(ATTACKS, name, what="an attack")


def suite_named(name: str) -> Suite:
    """The suite called `name`.

    Raises:
        ConfigError: If there is none.
    """
    return chosen(SUITES, name, what="a suite")
