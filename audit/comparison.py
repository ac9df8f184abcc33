"""Two audits of the same samples, compared sample by sample."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..core.choice import chosen
from ..core.errors import DataError, FormatError
from .journal import differences, identity_of
from .ledger import CELLS, SUITE, Ledger, cell_name
from .statistics import difference, mcnemar_exact, pairs

SHARED = ("config", "samples")
"""Of an audit's identity: what two audits have to share."""

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
        DataError: If the audits are not of the same samples, or not with the same options.
    """
    source, side = chosen(CELL_NAMES, cell, what="a cell")
    (first, kept), (second, gained) = (_survivors(path, source, side) for path in (before, after))
    if differing := differences(first, second):
        raise DataError(
            f"expected {before} and {after} to be audits of the same samples with the same "
            f"options, got another {', '.join(differing)}; audit both alike"
        )
    table = pairs(kept, gained)
    change = {key: 100 * value for key, value in asdict(difference(table)).items()}
    return {**change, "p": mcnemar_exact(table)}


def _survivors(path: Path, source: str, side: str) -> tuple[dict[str, Any], np.ndarray]:
    """What has to agree for a comparison, and which samples survive every attack of the suite."""
    try:
        rows = pq.read_table(path)
        identity = identity_of(rows)
        shared = {key: identity[key] for key in SHARED}
        return shared, Ledger(rows).survivors(SUITE, source, side)
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise FormatError(
            f"expected the .parquet of an audit at {path}, got {error}; audit again"
        ) from error
