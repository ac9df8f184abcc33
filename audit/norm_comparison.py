"""What a matrix of norms says of two networks: paired differences, and sentences about them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import product
from typing import Any

import numpy as np
from statsmodels.stats.multitest import multipletests

from ..attacks.lattice import LEVELS, LINF, PIXELS
from ..core.choice import chosen
from .norm_matrix import CLEAN
from .statistics import difference, mcnemar_exact, pairs
from .wording import estimate, points


def compare(
    found: Mapping[str, Any], comparisons: Sequence[tuple[str, str]], *, confidence: float = 0.95
) -> list[dict[str, Any]]:
    """Paired differences of robust accuracy, first less second, under every norm.

    The p of McNemar's exact tests are Holm's, over all comparisons and norms.

    Args:
        found: What `NormMatrix.measure` found.
        comparisons: Names of two networks each.
        confidence: Of the intervals.

    Raises:
        ConfigError: If a name is not among the networks.
    """
    right = found["right"]
    for name in (name for pair in comparisons for name in pair):
        chosen(right, name, what="a network")
    rows = []
    for (first, second), norm in product(comparisons, found["epsilons"]):
        table = pairs(*(np.array(right[name][norm]) for name in (second, first)))
        rows.append(
            {
                "first": first,
                "second": second,
                "norm": norm,
                **asdict(difference(table, confidence=confidence)),
                "p": mcnemar_exact(table),
            }
        )
    if not rows:
        return []
    adjusted = np.asarray(multipletests([row["p"] for row in rows], method="holm")[1])
    return [{**row, "p_holm": float(p)} for row, p in zip(rows, adjusted, strict=True)]


def sentences(rows: Sequence[Mapping[str, Any]], *, confidence: float = 0.95) -> list[str]:
    """What each comparison says, norm by norm: more, less, or nothing that can be told."""
    said = []
    for first, second in dict.fromkeys((row["first"], row["second"]) for row in rows):
        own = [row for row in rows if (row["first"], row["second"]) == (first, second)]
        parts = [f"{_verdict(row, 1 - confidence)} under {row['norm']}" for row in own]
        said.append(f"{first} against {second}: {', '.join(parts)}.")
    return said


def _verdict(row: Mapping[str, Any], level: float) -> str:
    value, low, high = (points(100 * row[key]) for key in ("value", "low", "high"))
    size = f"({value} points, {low} to {high}, p {row['p_holm']:.2g})"
    if row["p_holm"] > level:
        return f"no difference can be told {size}"
    return f"{'more' if row['value'] > 0 else 'less'} robust {size}"


def markdown(found: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """The matrix, a line a network, then what the comparisons say."""
    columns = [CLEAN, *found["epsilons"]]
    heads = [CLEAN, *(f"{norm}, ε = {_size(norm, e)}" for norm, e in found["epsilons"].items())]
    lines = [["", *heads], ["---", *("--:" for _ in heads)]]
    for name, shares in found["shares"].items():
        lines.append([name, *(estimate(shares[column]) for column in columns)])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    said = "\n".join(f"- {sentence}" for sentence in sentences(rows))
    return f"{table}\n\n{said}\n" if said else f"{table}\n"


def _size(norm: str, epsilon: float) -> str:
    if norm == LINF:
        return f"{round(epsilon * LEVELS)}/255"
    return f"{epsilon:.0f} pixels" if norm == PIXELS else f"{epsilon:.3g}"
