"""The npz file that drives a `.net` file: read, checked, and what of it does not fit the chip."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from ...core.errors import DataError
from ..arrays import read_arrays
from ..hdf5 import listed
from ..program import BIAS, INT32

DRIVERS = ("x", "input_bias")
NUMBERS = ("steps", "reset_interval", "reset_offset", "input_message_bits")
BESIDE = ("images", "frames", "logits", "predictions")
"""What a bundle's golden vectors hold beside the input of its `.net`."""
RECORDED = re.compile(r"[suv]\d+")
"""Traces, which may lie beside the input that they answer."""
MAX_STEPS = 1 << 20
MAX_MESSAGE_BITS = 32


@dataclass(frozen=True, kw_only=True, eq=False)
class NetxInput:
    """What drives a `.net` file, in Lava's axes.

    Args:
        steps: T.
        x: External spikes or payload, `(W, H, C, T)` or `(N, T)`; None where a bias drives it.
        input_bias: Bias mantissa of the input block, `(W, H, C)` or `(N,)`.
        reset_interval: Steps between resets; None for none.
        reset_offset: Shifts the phase of every reset.
        input_message_bits: 0 for binary spikes, above 0 for a signed payload that multiplies.
        fractions: Which of the arrays lost fractions when they became whole numbers.

    Raises:
        DataError: If resets are shifted where there are none.
    """

    steps: int
    x: Int[np.ndarray, "..."] | None = None
    input_bias: Int[np.ndarray, "..."] | None = None
    reset_interval: int | None = None
    reset_offset: int = 0
    input_message_bits: int = 0
    fractions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.reset_offset and self.reset_interval is None:
            raise DataError(
                f"expected a reset_interval with reset_offset {self.reset_offset}, got none; add "
                f"it or leave the offset out"
            )

    @property
    def payload(self) -> tuple[int, int]:
        """Least and greatest value that enters."""
        if self.x is None or self.x.size == 0:
            return 0, 1
        return min(0, int(self.x.min())), max(1, int(self.x.max()))

    def changes(self) -> Iterator[str]:
        """What of it does not fit the chip, in words; Lava computes on with what it makes of it."""
        yield from (f"fractions in {name}" for name in self.fractions)
        if self.x is not None and self.x.size:
            yield from self._payload_changes(int(self.x.min()), int(self.x.max()))
        bias = self.input_bias
        if bias is not None and ((bias < BIAS.min) | (bias > BIAS.max)).any():
            yield f"input_bias {bias.min()}..{bias.max()} outside int16"

    def _payload_changes(self, low: int, high: int) -> Iterator[str]:
        half = 1 << self.input_message_bits >> 1
        least, most = (-half, half - 1) if half else (0, 1)
        if low < least or high > most:
            kind = f"{self.input_message_bits} message bits" if half else "binary spikes"
            yield f"x {low}..{high} outside {least}..{most} of {kind}"


def read_input(path: Path) -> NetxInput:
    """Reads a simulation's input.

    Raises:
        FormatError: If the file is no npz file of plain arrays.
        DataError: If an array is missing, not finite, out of bounds or of no effect.
    """
    arrays = read_arrays(path)
    known = (*DRIVERS, *NUMBERS)
    lawful = (*known, *BESIDE)
    foreign = [name for name in arrays if name not in lawful and not RECORDED.fullmatch(name)]
    if foreign:
        raise DataError(
            f"expected {', '.join(known)} or traces such as s0 in {path}, got {listed(foreign)}; "
            f"correct the name or leave it out"
        )
    if not any(name in arrays for name in DRIVERS):
        raise DataError(
            f"expected x or input_bias in {path}, got {listed(list(arrays))}; add the "
            f"network's input"
        )
    whole = {name: _whole(arrays[name], name, path) for name in DRIVERS if name in arrays}
    steps = _number(arrays, "steps", path, least=1)
    if steps is None:
        raise DataError(f"expected steps in {path}, got none; add the number of steps")
    x = whole.get("x")
    if x is not None and (x.ndim == 0 or x.shape[-1] != steps):
        raise DataError(
            f"expected x in {path} with as many columns on its last axis as steps says, {steps}, "
            f"got shape {list(x.shape)}; put time last, or correct steps"
        )
    return NetxInput(
        steps=steps,
        x=x,
        input_bias=whole.get("input_bias"),
        reset_interval=_number(arrays, "reset_interval", path, least=1),
        reset_offset=_number(arrays, "reset_offset", path) or 0,
        input_message_bits=_number(arrays, "input_message_bits", path, most=MAX_MESSAGE_BITS) or 0,
        fractions=tuple(name for name, array in whole.items() if (array != arrays[name]).any()),
    )


def _whole(array: np.ndarray, name: str, path: Path) -> np.ndarray:
    """Integers, fractions dropped towards zero as Lava does."""
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"expected numbers in {name} of {path}, got {array.dtype}; store them as int32"
        )
    if not np.isfinite(array).all():
        raise DataError(
            f"expected finite numbers in {name} of {path}, got NaN or infinity; mend the file"
        )
    # In float64, because the size of the least int64 is no int64.
    peak = float(np.abs(array.astype(np.float64)).max(initial=0.0))
    if peak >= INT32:
        raise DataError(
            f"expected 32-bit numbers in {name} of {path}, got up to {peak:g}; scale the input down"
        )
    return array.astype(np.int32)


def _number(
    arrays: dict[str, np.ndarray],
    name: str,
    path: Path,
    *,
    least: int = 0,
    most: int = MAX_STEPS,
) -> int | None:
    if name not in arrays:
        return None
    array = arrays[name]
    if array.size != 1 or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise DataError(
            f"expected one whole number {name} in {path}, got {array.dtype} {list(array.shape)}; "
            f"mend the file"
        )
    value = int(array.reshape(()))
    if value != array.reshape(()) or not least <= value <= most:
        raise DataError(
            f"expected a whole number {least}..{most} as {name} of {path}, got "
            f"{array.reshape(())}; mend the file"
        )
    return value
