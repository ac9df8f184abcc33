"""Two audits of the same samples, compared sample by sample."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..core.choice import chosen
from ..core.errors import DataError, FormatError
from .ledger import CELLS, CLEAN, SUITE, Ledger, cell_name
from .statistics import difference, mcnemar_exact, pairs

CELL_NAMES = {cell_name(source, side): (source, side) for source, side in CELLS}


def compare_audits(before: Path, after: Path, *, cell: str) -> dict[str, Any]:
    """How many points more robust `after` is than `before`, with the paired interval.

    Args:
        before: The `.parquet` file of an audit.
        after: That of another audit of the same samples.
        cell: `float_on_float`, `hardware_on_hardware` or a transfer cell.

    Returns:
        `value`, `low`, `high` in points and McNemar's exact `p`.

    Raises:
        ConfigError: If there is no such cell.
        FormatError: If a file is no audit's.
        DataError: If the audits are not of the same samples, or not at the same epsilon.
    """
    source, side = chosen(CELL_NAMES, cell, what="a cell")
    (first, kept, small), (second, gained, large) = (
        _survivors(path, source, side) for path in (before, after)
    )
    if small != large:
        raise DataError(
            f"expected {before} and {after} to be attacked at the same epsilon, got {small:g} and "
            f"{large:g}; audit both with the same options"
        )
    if not np.array_equal(first, second):
        raise DataError(
            f"expected {before} and {after} to audit the same samples, got {len(first)} and "
            f"{len(second)}; audit both with the same options"
        )
    table = pairs(kept, gained)
    change = {key: 100 * value for key, value in asdict(difference(table)).items()}
    return {**change, "p": mcnemar_exact(table)}


def _survivors(path: Path, source: str, side: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Which samples there are, which survive every attack of the suite, and at which epsilon."""
    try:
        rows = pq.read_table(path)
        ledger = Ledger(rows)
        clean = rows.filter(pc.field("role") == CLEAN)
        samples = np.unique(clean["sample"].to_numpy())
        attacked = rows.filter(pc.field("role") == SUITE)["epsilon"].to_numpy()
        return samples, ledger.survivors(SUITE, source, side), float(attacked.max())
    except (OSError, pa.ArrowException, KeyError) as error:
        raise FormatError(
            f"expected the .parquet of an audit at {path}, got {error}; audit again"
        ) from error
