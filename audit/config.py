"""What an audit is asked to do."""

from dataclasses import dataclass
from itertools import pairwise

from ..attacks.lattice import LEVELS, Cells, ThreatModel
from ..attacks.suite import Suite, suite_named
from ..core.choice import chosen
from ..core.errors import ConfigError
from .engines import ENGINES

CURVE = (0, 1, 2, 4, 8, 16, 32, 64, 128, LEVELS)
CURVE_ATTACK = "pgd10-scaled"
"""Of every point of the curve: its steps cross any ball."""


@dataclass(frozen=True, kw_only=True)
class AuditConfig:
    """An audit of a float network beside its chip, on the first samples of a test set.

    Args:
        suite: Name of a suite of attacks.
        samples: How many of the first test samples; None for all.
        epsilon: Radius of the ball, in input units, of l0 in pixels; of linf on the lattice
            floor(255·epsilon) levels.
        norm: linf, l2, l1 or l0; the suite's attacks that search its balls are run.
        lattice: True: float and chip are compared on 8-bit images, the only ones a chip can take.
        continuous: Whether the float network is also attacked off the lattice, in its own row.
        seed: Decides every random draw, together with the index of the sample.
        restarts: Runs of each attack that has a random start.
        estimators: Spike derivatives to use on both models; None for all that each offers.
        batch_size: Every batch is padded to it, so that results do not depend on neighbours. What
            stands fills small batches better; an accelerator wants larger ones.
        curve: Levels of 255 at which accuracy against epsilon is measured; of other norms than
            linf in the smallest ball that holds a change of all entries by so many.
        curve_samples: The curve uses at most so many of the first samples.
        confidence: Of every interval.
        chip_questions: Of how many of the first samples only the chip is asked: registers, work,
            faults. 0 asks nothing.
        shards: Into how many parts of like size the samples are cut; results do not depend on it.
        engine: Who works on the shards: "local", this process, or "ray", a cluster.
        cells: What images are where they are frames of events.

    Raises:
        ConfigError: If a value is unknown, out of range, or not in this version.
    """

    suite: str = "quick"
    samples: int | None = None
    epsilon: float = 8 / 255
    norm: str = "linf"
    lattice: bool = True
    continuous: bool = True
    seed: int = 0
    restarts: int = 1
    estimators: tuple[str, ...] | None = None
    batch_size: int = 32
    curve: tuple[int, ...] = CURVE
    curve_samples: int = 128
    confidence: float = 0.95
    chip_questions: int = 0
    shards: int = 1
    engine: str = "local"
    cells: Cells | None = None

    def __post_init__(self) -> None:
        suite_named(self.suite)
        self._check_threat()
        self._check_counts()
        self._check_curve()
        chosen(ENGINES, self.engine, what="an engine")
        if not 0.5 <= self.confidence < 1:
            raise ConfigError(f"expected a confidence in 0.5..1, got {self.confidence}; use 0.95")

    @property
    def threat(self) -> ThreatModel:
        """The threat model that float and chip are compared under."""
        return ThreatModel(epsilon=self.epsilon, norm=self.norm, lattice=True, cells=self.cells)

    @property
    def attacks(self) -> Suite:
        """The suite, as far as its attacks search balls of the norm."""
        return suite_named(self.suite).within(self.norm)

    def _check_threat(self) -> None:
        if not self.lattice:
            raise ConfigError(
                "expected lattice = true, got false; a chip takes 8-bit images only, "
                "continuous = true adds a row for the float network off the lattice"
            )
        ThreatModel(epsilon=self.epsilon, norm=self.norm, lattice=True)
        suite_named(self.suite).within(self.norm)

    def _check_counts(self) -> None:
        counts = {
            "samples": 1 if self.samples is None else self.samples,
            "restarts": self.restarts,
            "batch_size": self.batch_size,
            "curve_samples": self.curve_samples,
            "shards": self.shards,
        }
        for name, value in counts.items():
            if value < 1:
                raise ConfigError(f"expected {name} of 1 or more, got {value}; raise it")
        if self.chip_questions < 0:
            raise ConfigError(
                f"expected chip_questions of 0 or more, got {self.chip_questions}; 0 asks nothing"
            )
        if self.seed < 0:
            raise ConfigError(f"expected a seed of 0 or more, got {self.seed}; choose another")
        if self.estimators == ():
            raise ConfigError("expected at least one estimator, got none; name one or leave it out")

    def _check_curve(self) -> None:
        is_rising = all(a < b for a, b in pairwise(self.curve))
        if not self.curve or self.curve[0] < 0 or self.curve[-1] > LEVELS or not is_rising:
            raise ConfigError(
                f"expected a curve of rising levels in 0..{LEVELS}, got {list(self.curve)}; "
                "epsilon 8/255 is level 8"
            )
