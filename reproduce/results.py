"""What a reproduction found: the paper's number, ours on the float network, ours on the chip."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from matplotlib.figure import Figure

from ..audit.wording import NONE, points

PERCENT = "%"


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number of ours, with its 95 % interval where it is a share of samples."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a target measured for one cell of its table.

    Args:
        row, column: Where it stands.
        on_float: Of the float network; None where it cannot be told.
        on_chip: Of the deployed chip.
        unit: `%`, `s`, `×` or nothing.
    """

    row: str
    column: str
    on_float: Number | None
    on_chip: Number | None
    unit: str = PERCENT

    @classmethod
    def of(
        cls, row: str, column: str, numbers: Mapping[str, Number | None], *, unit: str = PERCENT
    ) -> "Found":
        """What was found by side: `on_float` and `on_chip`."""
        return cls(
            row=row,
            column=column,
            on_float=numbers["on_float"],
            on_chip=numbers["on_chip"],
            unit=unit,
        )


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell: what was found in a block, and the paper's number where it prints one."""

    block: str
    found: Found
    paper: float | None

    @property
    def difference(self) -> float | None:
        """Ours on the float network minus the paper's."""
        ours = self.found.on_float
        return None if ours is None or self.paper is None else ours.value - self.paper

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "block": self.block,
            **asdict(self.found),
            "paper": self.paper,
            "difference": self.difference,
        }


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Something that the paper says, and whether it is so here; None where it cannot be told."""

    says: str
    holds: bool | None
    here: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """All that a target found in one block; a figure and claims where cells do not give them."""

    found: tuple[Found, ...]
    figure: Figure | None = None
    claims: tuple[Claim, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """A finished target.

    Args:
        title: What the paper calls it.
        cells: The table.
        claims: What the paper says, held against the table.
        about: Command, scale, data, machine and seed.
        notes: What a reader has to know.
        blocks: By label of a block of ours, the published one that it is held against.
        numbers: By block, what figures were drawn from.
    """

    title: str
    cells: tuple[Cell, ...]
    claims: tuple[Claim, ...]
    about: Mapping[str, Any]
    notes: Sequence[str]
    blocks: Mapping[str, str]
    numbers: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "title": self.title,
            "cells": [cell.to_dict() for cell in self.cells],
            "claims": [asdict(claim) for claim in self.claims],
            "notes": list(self.notes),
            "blocks": dict(self.blocks),
            "numbers": dict(self.numbers),
            **self.about,
        }

    def markdown(self) -> str:
        """The table with the paper's numbers beside ours, what became of its claims, and notes."""
        about = self.about
        head = [
            f"# {self.title}",
            "",
            f"Scale `{about['scale']['name']}`: {about['scale']['says']}. Data: "
            f"{_data(about['data'])}; {about['samples']} test samples, seed {about['seed']}, on "
            f"{about['machine']}, spikeproof {about['commit']}. In brackets 95 % Wilson intervals.",
            "",
            "<!-- not run: record -->",
            "```sh",
            about["command"],
            "```",
            "",
        ]
        return "\n".join([*head, *self._tables(), *self._claims(), *self._notes()]) + "\n"

    def _tables(self) -> Iterable[str]:
        columns = ("", "", "paper", "float", "difference", "chip")
        for block, published in self.blocks.items():
            said = block if block == published else f"{block}, standing for {published}"
            yield from (f"## {said}", "", _line(columns), _line(("---", "---", *["--:"] * 4)))
            for cell in self.cells:
                if cell.block == block:
                    yield _line(_words(cell))
            yield ""

    def _claims(self) -> Iterable[str]:
        if self.claims:
            yield from ("## What the paper says, and what is so here", "", CAVEAT, "")
        for claim in self.claims:
            yield f"- {claim.says} **{VERDICTS[claim.holds]}** {claim.here}."
        yield ""

    def _notes(self) -> Iterable[str]:
        return "\n\n".join(self.notes).splitlines()


def _data(about: Mapping[str, Any]) -> str:
    return f"{about['name']} (simulated recordings)" if about["simulated"] else about["name"]


CAVEAT = (
    "Values are compared as they are: an order may be chance where intervals overlap, and equal "
    "values cannot be told apart."
)
VERDICTS = {True: "So here.", False: "Not so here.", None: "Cannot be told here."}


def _words(cell: Cell) -> tuple[str, ...]:
    found, unit = cell.found, cell.found.unit
    paper = NONE if cell.paper is None else f"{cell.paper:.2f}"
    change = NONE if cell.difference is None else points(cell.difference)
    label = found.column if unit == PERCENT or not unit else f"{found.column}, {unit}"
    return found.row, label, paper, _number(found.on_float), change, _number(found.on_chip)


def _number(number: Number | None) -> str:
    if number is None:
        return NONE
    value = f"{number.value:.1f}" if abs(number.value) >= 1 else f"{number.value:.3g}"
    if number.low is None or number.high is None:
        return value
    return f"{value} ({number.low:.1f} to {number.high:.1f})"


def _line(words: Iterable[str]) -> str:
    return f"| {' | '.join(words)} |"
