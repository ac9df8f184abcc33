"""How samples become what enters a chip, and how what a population did becomes logits."""

from dataclasses import dataclass
from typing import Literal

from ..core.errors import FormatError

ENCODINGS = ("direct", "frames")
READOUTS = ("membrane", "sum", "spikes")


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How a sample becomes payload: round(255·x) − offset.

    Args:
        offset: Integer mean of each channel.
        steps: T.
        kind: `direct` for an image, the same at every step; `frames` for a stack of T frames, one
            a step.
        constant: Payload of one more channel behind those of the sample, the same at every pixel
            and step, which brings what a bias is too narrow for; 0 for no such channel.
    """

    offset: tuple[int, ...]
    steps: int
    kind: Literal["direct", "frames"] = "direct"
    constant: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise FormatError(f"expected at least 1 time step, got {self.steps}; give more")
        if self.kind not in ENCODINGS:
            raise FormatError(
                f"expected an encoding among {', '.join(ENCODINGS)}, got {self.kind!r}; choose one"
            )

    @property
    def frames(self) -> int:
        """How many maps a sample has: 1 or T."""
        return self.steps if self.kind == "frames" else 1


@dataclass(frozen=True, kw_only=True)
class Readout:
    """How logits are read from an output population.

    Args:
        population: Its name.
        kind: `membrane` reads v after the last step, `sum` adds up v over the steps, both
            in units of 64; `spikes` counts spikes.
        scale: Logit of one unit.
    """

    population: str
    kind: Literal["membrane", "sum", "spikes"]
    scale: float

    def __post_init__(self) -> None:
        if self.kind not in READOUTS:
            raise FormatError(
                f"expected a read-out among {', '.join(READOUTS)}, got {self.kind!r}; choose one"
            )
