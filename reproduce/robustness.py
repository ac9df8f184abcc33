"""Tables 1, 2 and 3: accuracy under the paper's attacks, white box and carried over."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from ..audit.ledger import BLACK_BOX, SUITE, Ledger
from ..audit.ledger import SIDES as LEDGER_SIDES
from .bench import SIDES, Bench
from .results import Found, Measured

CLEAN, WHITE, BLACK = "clean", "white box", "black box"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table: `clean`, or an attack's name and where its gradients come from."""

    label: str
    kind: str = CLEAN
    attack: str = ""


CLEAN_COLUMN = Column(label=CLEAN)


def white(*attacks: str) -> tuple[Column, ...]:
    """White-box columns."""
    return tuple(Column(label=name.upper(), kind=WHITE, attack=name) for name in attacks)


def black(*attacks: str) -> tuple[Column, ...]:
    """Black-box columns."""
    return tuple(
        Column(label=f"{name.upper()}, black box", kind=BLACK, attack=name) for name in attacks
    )


def measure(
    bench: Bench, rows: dict[str, str], columns: tuple[Column, ...], *, suite: str
) -> Measured:
    """Every row's network under every column, from one audit each."""
    found = []
    for row, method in rows.items():
        ledger = bench.audited(method, suite)
        for column in columns:
            numbers = {
                side: bench.number(_right(ledger, column, of))
                for side, of in zip(SIDES, LEDGER_SIDES, strict=True)
            }
            found.append(Found.of(row, column.label, numbers))
    return Measured(found=tuple(found))


def _right(ledger: Ledger, column: Column, side: str) -> Bool[np.ndarray, " N"]:
    """Samples that are right clean and under the column's attack with every estimator."""
    if column.kind == CLEAN:
        return ledger.clean_right[side]
    if column.kind == WHITE:
        return ledger.survivors(SUITE, side, side, attacks=(column.attack,))
    (source,) = ledger.sources(BLACK_BOX)
    return ledger.survivors(BLACK_BOX, source, side, attacks=(column.attack,))
