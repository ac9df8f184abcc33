"""What happened to each sample: one row a sample, attack, estimator and cell."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float

from ..core.errors import DataError

SIDES = ("float", "hardware")
"""The two models."""

CELLS = (
    ("float", "float"),
    ("float", "hardware"),
    ("hardware", "hardware"),
    ("hardware", "float"),
)
"""Crafted on, evaluated on."""

CLEAN, SUITE, CONTROL, CONTINUOUS, CURVE = "clean", "suite", "control", "continuous", "curve"
SEARCH, WIDTHS, PROBE, BLACK_BOX = "search", "widths", "probe", "black box"
SAME, OWN = "same points", "own points"
"""What a row was measured for. Controls, probes, the curve, and second looks at what the suite left
(gradient-free search, other surrogate widths) stay out of the verdict; what is carried over from
networks trained apart is told beside it. Every stage from float to chip meets the same points,
crafted on the float network, and points of its own."""

SCHEMA = pa.schema(
    [
        pa.field("sample", pa.int64(), nullable=False),
        pa.field("role", pa.string(), nullable=False),
        pa.field("source", pa.string()),
        pa.field("evaluated_on", pa.string(), nullable=False),
        pa.field("attack", pa.string()),
        pa.field("estimator", pa.string()),
        pa.field("restarts", pa.int32()),
        pa.field("epsilon", pa.float64(), nullable=False),
        pa.field("is_right", pa.bool_(), nullable=False),
        pa.field("fooled_any", pa.bool_()),
        pa.field("is_tied", pa.bool_()),
        pa.field("queries", pa.int64()),
        pa.field("zero_gradients", pa.float32()),
        pa.field("loss", pa.float32()),
        pa.field("directions", pa.int32()),
        pa.field("misled", pa.int32()),
        pa.field("events", pa.float32()),
    ]
)
"""`is_right`: judged right by the rule of the suite, whatever the clean image gave; in a cascade
(the curve, second looks) whether the sample still stands. `fooled_any`: whether any visited point
fooled the model it was crafted on; null where that is another one. `epsilon`: the radius; of the
curve its level over 255. `loss`: cross entropy on `evaluated_on` at the end point.
`zero_gradients`: share of input gradient entries that were exactly zero. `directions`, `misled`: of
a probe, random directions that change the loss, and those of which the gradient says otherwise.
`events`: of recordings, events added plus events taken away by the point that was judged; frame
noise changes fractions."""

QUESTION = ("role", "source", "evaluated_on", "attack", "estimator", "restarts", "epsilon")
"""Columns that rows of different samples share if they answer the same question."""

ROBUST = pa.field("is_robust", pa.bool_(), nullable=False)
"""Right here and right on the clean image: in finished ledgers only."""


def cell_name(source: str, evaluated_on: str) -> str:
    """`float_on_hardware`: crafted on the float network, evaluated on the chip."""
    return f"{source}_on_{evaluated_on}"


def rows(count: int, **columns: Any) -> pa.Table:
    """A table of `count` rows; a column is an array, one value for all, or left out for null."""
    arrays = []
    for field in SCHEMA:
        value = columns.pop(field.name, None)
        values = value.tolist() if isinstance(value, np.ndarray) else [value] * count
        if field.type == pa.float32():
            values = [None if x is None or np.isnan(x) else x for x in values]
        arrays.append(pa.array(values, type=field.type))
    assert not columns, f"unknown columns {sorted(columns)}"
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def in_order(table: pa.Table) -> pa.Table:
    """The rows of several shards in the order that one would have: by question, then sample."""
    asked = [
        pc.fill_null(pc.cast(table[name], pa.string()), "")  # pyright: ignore[reportAttributeAccessIssue]
        for name in QUESTION
    ]
    question = pc.binary_join_element_wise(*asked, "|").combine_chunks().dictionary_encode()  # pyright: ignore[reportAttributeAccessIssue]
    order = np.lexsort((table["sample"].to_numpy(), question.indices.to_numpy()))
    return table.take(order).combine_chunks()


class Ledger:
    """Rows of all samples, read by question.

    Args:
        table: Rows of `SCHEMA`; for each question the same samples in the same order.
    """

    def __init__(self, table: pa.Table) -> None:
        self._rows = table
        self._columns = {
            name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names
        }
        self.clean_right = {side: self._clean(side) for side in SIDES}
        """Which samples each model gets right without an attack, in the order of the rows."""

    def members(
        self, role: str, source: str, evaluated_on: str
    ) -> tuple[tuple[str, str | None], ...]:
        """Attack and estimator of all that ran on `source` and was evaluated there, in order."""
        found = self._select({"role": role, "source": source, "evaluated_on": evaluated_on})
        pairs = zip(
            *(self._columns[c][found].tolist() for c in ("attack", "estimator")), strict=True
        )
        return tuple(dict.fromkeys(pairs))

    def sources(self, role: str) -> tuple[str, ...]:
        """What was attacked in a role, in order."""
        found = self._columns["source"][self._select({"role": role})].tolist()
        return tuple(dict.fromkeys(found))

    def right(self, **where: str | float | None) -> Bool[np.ndarray, " N"]:
        """`is_right` of the rows where every column has its value.

        Raises:
            DataError: If there are none.
        """
        return self._column("is_right", where).astype(bool)

    def fooled_any(self, **where: str | float | None) -> Bool[np.ndarray, " N"]:
        """Which samples any visited point fooled, for one attack."""
        return self._column("fooled_any", where).astype(bool)

    def loss(self, **where: str | float | None) -> Float[np.ndarray, " N"]:
        """Cross entropy at the end point, for one attack."""
        return self._column("loss", where).astype(float)

    def events(self, **where: str | float | None) -> Float[np.ndarray, " N"]:
        """Events added plus events taken away, for one attack; NaN of images."""
        return self._column("events", where).astype(float)

    def robust(self, **where: str | float | None) -> Bool[np.ndarray, " N"]:
        """Right there and right on the clean image, for one attack."""
        return self.right(**where) & self.clean_right[str(where["evaluated_on"])]

    def clean_loss(self, side: str) -> Float[np.ndarray, " N"]:
        """Cross entropy of each clean sample."""
        return self.loss(role=CLEAN, evaluated_on=side)

    def standing(self, side: str) -> Bool[np.ndarray, " N"]:
        """Clean-correct samples that no visited point of the suite, white box, has fooled."""
        kept = self.clean_right[side].copy()
        for attack, estimator in self.members(SUITE, side, side):
            kept &= ~self.fooled_any(**white_box(side, attack, estimator))
        return kept

    def largest_loss(self, side: str) -> Float[np.ndarray, " N"]:
        """Cross entropy at the worst point that the suite, white box, has found."""
        found = [
            self.loss(**white_box(side, attack, estimator))
            for attack, estimator in self.members(SUITE, side, side)
        ]
        return np.max([self.clean_loss(side), *found], axis=0)

    def survivors(
        self, role: str, source: str, evaluated_on: str, *, attacks: Sequence[str] | None = None
    ) -> Bool[np.ndarray, " N"]:
        """Clean-correct, and right under every attack of the role (or every one of `attacks`)."""
        kept = self.clean_right[evaluated_on].copy()
        return kept & self.unbroken(role, source, evaluated_on, attacks=attacks)

    def unbroken(
        self, role: str, source: str, evaluated_on: str, *, attacks: Sequence[str] | None = None
    ) -> Bool[np.ndarray, " N"]:
        """Right under every attack, whatever the clean image gave."""
        kept = np.ones(len(self.clean_right[SIDES[0]]), dtype=bool)
        for attack, estimator in self.members(role, source, evaluated_on):
            if attacks is None or attack in attacks:
                kept &= self.right(
                    role=role,
                    source=source,
                    evaluated_on=evaluated_on,
                    attack=attack,
                    estimator=estimator,
                )
        return kept

    def mean(self, column: str, **where: str | float | None) -> float | None:
        """Mean of a number over the rows; None where it is null."""
        found = self._column(column, where).astype(float)
        return None if np.isnan(found).any() else float(found.mean())

    def total(self, column: str, **where: str | float | None) -> int:
        """Sum over the rows; of claims, how many are true."""
        return int(self._column(column, where).sum())

    def finished(self) -> pa.Table:
        """All rows with `is_robust`, as they are published."""
        samples = self._column("sample", {"role": CLEAN, "evaluated_on": SIDES[0]}).tolist()
        clean = {
            name: dict(zip(samples, self._clean(name).tolist(), strict=True))
            for name in dict.fromkeys(self._columns["evaluated_on"].tolist())
        }
        names = ("sample", "evaluated_on", "is_right")
        columns = (self._rows[name].to_pylist() for name in names)
        robust = [
            right and clean[side][sample] for sample, side, right in zip(*columns, strict=True)
        ]
        return self._rows.append_column(ROBUST, pa.array(robust, type=ROBUST.type))

    def _clean(self, side: str) -> Bool[np.ndarray, " N"]:
        return self.right(role=CLEAN, evaluated_on=side)

    def _column(self, name: str, where: Mapping[str, Any]) -> np.ndarray:
        found = self._select(where)
        if not found.any():
            raise DataError(f"expected results for {dict(where)}, got none; run the audit again")
        return self._columns[name][found]

    def _select(self, where: Mapping[str, Any]) -> Bool[np.ndarray, " rows"]:
        is_chosen = np.ones(len(self._rows), dtype=bool)
        for name, value in where.items():
            # Strings with nulls are objects; None is compared by element, too.
            is_chosen &= self._columns[name] == value
        return is_chosen


def white_box(side: str, attack: str, estimator: str | None) -> dict[str, str | None]:
    """Where the white-box rows of one attack of the suite stand."""
    where = {"role": SUITE, "source": side, "evaluated_on": side}
    return {**where, "attack": attack, "estimator": estimator}
