"""What the paper says, held against what was found: the order of its rows, and its observations."""

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, pairwise

from .results import Cell, Claim, Number

Claims = Callable[[Sequence[Cell]], list[Claim]]
"""Of one block's cells."""

SIDES = {"float": "on_float", "chip": "on_chip"}


def order(cells: Sequence[Cell]) -> list[Claim]:
    """For every column with numbers in the paper: does each pair of rows stand as it does there?

    Pairs that the paper has equal, and those with a number missing here, say nothing.
    """
    columns = dict.fromkeys(cell.found.column for cell in cells)
    found = []
    for column in columns:
        own = [cell for cell in cells if cell.found.column == column and cell.paper is not None]
        ranked = sorted(own, key=_of_paper)
        if len(ranked) < 2 or _of_paper(ranked[0]) == _of_paper(ranked[-1]):
            continue
        said = " > ".join(cell.found.row for cell in ranked)
        sides = [_compared(name, side, ranked) for name, side in SIDES.items()]
        here = "; ".join(text for _, text in sides)
        holds = _both(holds for holds, _ in sides)
        found.append(Claim(says=f"{column}: {said}.", holds=holds, here=here))
    return found


def _of_paper(cell: Cell) -> float:
    assert cell.paper is not None
    return -cell.paper


def _compared(name: str, side: str, ranked: Sequence[Cell]) -> tuple[bool | None, str]:
    """Whether all pairs stand as in the paper, and in words which do not; None where some tie."""
    wrong, level = [], []
    for first, second in combinations(ranked, 2):
        ours, other = getattr(first.found, side), getattr(second.found, side)
        if first.paper == second.paper or ours is None or other is None:
            continue
        if ours.value == other.value:
            level.append(f"{first.found.row} = {second.found.row}")
        elif ours.value < other.value:
            wrong.append(f"{second.found.row} > {first.found.row}")
    told = [*wrong, *level]
    said = f"but {', '.join(told)}" if told else "the same"
    return False if wrong else None if level else True, f"{name}: {said}"


def _both(holds: Iterable[bool | None]) -> bool | None:
    """False where one side is; None where one cannot be told."""
    found = list(holds)
    return False if False in found else None if None in found else True


def below(first: str, second: str, says: str) -> Claims:
    """Claims that in every row the second column is at least the first, and somewhere above it."""

    def found(cells: Sequence[Cell]) -> list[Claim]:
        return [
            _side(says, name, _pairs(cells, first, second, side)) for name, side in SIDES.items()
        ]

    return found


def falls(column: str, says: str, *, rises: bool = False) -> Claims:
    """Claims that a column is lower in the last row than in the first, or with `rises` higher."""

    def found(cells: Sequence[Cell]) -> list[Claim]:
        own = [cell for cell in cells if cell.found.column == column]
        claims = []
        for name, side in SIDES.items():
            first, last = _value(own[0], side), _value(own[-1], side)
            holds = None if first == last else (last > first) is rises
            told = f"{own[0].found.row} {first:.4g}, {own[-1].found.row} {last:.4g}"
            claims.append(Claim(says=says, holds=holds, here=f"{name}: {told}"))
        return claims

    return found


def rows_rise(column: str, says: str, *, rows: Sequence[str]) -> Claims:
    """Claims that a column rises from row to row, in the order given."""

    def found(cells: Sequence[Cell]) -> list[Claim]:
        own = {cell.found.row: cell for cell in cells if cell.found.column == column}
        claims = []
        for name, side in SIDES.items():
            values = [_value(own[row], side) for row in rows]
            holds = all(a < b for a, b in pairwise(values))
            told = ", ".join(f"{row} {v:.2f}" for row, v in zip(rows, values, strict=True))
            claims.append(Claim(says=says, holds=holds, here=f"{name}: {told}"))
        return claims

    return found


def together(*claims: Claims) -> Claims:
    """All of several."""
    return lambda cells: [claim for each in claims for claim in each(cells)]


def _pairs(cells: Sequence[Cell], first: str, second: str, side: str) -> list[tuple[float, float]]:
    rows = dict.fromkeys(cell.found.row for cell in cells)
    at = {(cell.found.row, cell.found.column): _value(cell, side) for cell in cells}
    return [(at[row, first], at[row, second]) for row in rows]


def _side(says: str, name: str, pairs: Iterable[tuple[float, float]]) -> Claim:
    pairs = list(pairs)
    holds = all(low <= high for low, high in pairs) and any(low < high for low, high in pairs)
    told = ", ".join(f"{low:.4g} and {high:.4g}" for low, high in pairs)
    return Claim(says=says, holds=holds, here=f"{name}: {told}")


def _value(cell: Cell, side: str) -> float:
    number: Number | None = getattr(cell.found, side)
    assert number is not None, "claims are about columns that both sides have"
    return number.value
