"""A scale of seconds, and targets whose numbers are known."""

import pytest

from spikeproof.reproduce.results import Cell, Found, Number
from spikeproof.reproduce.scales import SCALES, Scale

TINY = Scale(
    name="tiny",
    says="nothing",
    is_small=True,
    limit=60,
    samples=5,
    settings={"*": {"epochs": 1, "steps": 2, "widths": "4,6", "validation_steps": 1}},
    searched=4,
    weights=(0.0, 0.01),
    curve=(0, 255),
    timed=2,
    batch=5,
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a scale for tests."""
    monkeypatch.setitem(SCALES, "tiny", TINY)
    return "tiny"


def cell(row: str, paper: float | None, ours: float, chip: float | None = None, column="PGD10"):
    """A cell of a block; the chip does as the float network where nothing else is said."""
    on_chip = Number(value=ours if chip is None else chip)
    found = Found(row=row, column=column, on_float=Number(value=ours), on_chip=on_chip)
    return Cell(block="A", found=found, paper=paper)
