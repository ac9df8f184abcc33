"""What Lava is asked to run: a `.net` file, or a Program whose processes are built directly.

A request writes itself into a folder for the worker, and refuses beforehand what cannot be meant.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import ConfigError, DataError, FormatError
from ..program import Program
from ..program_file import write_program
from .fit import check_fit

X, INPUT_BIAS, PROGRAM, INPUTS = "x.npy", "input_bias.npy", "program.h5", "inputs.npz"


@dataclass(frozen=True, kw_only=True, eq=False)
class LavaRequest:
    """One run of a netx network from its initial state.

    Numbers that do not fit Lava's registers are passed on: what Lava makes of them is the answer.

    Attributes:
        network: A `.net` file.
        steps: Number of steps T, at least 1.
        x: External spikes or payloads, integers `(W, H, C, T)` or `(N, T)`; None without.
        input_bias: Bias mantissa of the input block, integers `(W, H, C)`; None without.
        reset_interval: Steps between two resets of a layer; None never resets.
        reset_offset: Shifts the phase of all resets.
        input_message_bits: 0 takes `x` as binary, above 0 as a signed payload.

    Raises:
        FormatError: If `network` is not a file.
        ConfigError: If a number of steps or bits is out of range.
        DataError: If `x` or `input_bias` is not an integer array of a possible shape.
    """

    network: Path
    steps: int
    x: np.ndarray | None = None
    input_bias: np.ndarray | None = None
    reset_interval: int | None = None
    reset_offset: int = 0
    input_message_bits: int = 0

    def __post_init__(self) -> None:
        if not Path(self.network).is_file():
            raise FormatError(f"expected a .net file, got {self.network}; check the path")
        _check_numbers(self, {"steps": 1, "reset_interval": 1, "input_message_bits": 0})
        if self.x is not None:
            _check_train("x", self.x, self.steps)
        if self.input_bias is not None:
            _check_integers("input_bias", self.input_bias)

    def __str__(self) -> str:
        return str(self.network)

    def write(self, folder: Path) -> dict[str, Any]:
        """Writes the arrays; returns the rest as plain fields."""
        for name, array in ((X, self.x), (INPUT_BIAS, self.input_bias)):
            if array is not None:
                np.save(folder / name, array, allow_pickle=False)
        return {
            "network": str(Path(self.network).resolve()),
            "input_message_bits": int(self.input_message_bits),
        } | _clock(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class ProgramRequest:
    """One run of a Program from its initial state, on Lava processes built for it.

    Attributes:
        program: Any Program whose numbers Lava's processes hold, branches and loops included.
        steps: Number of steps T, at least 1.
        inputs: Per source, spikes or payloads, integers `(W, H, C, T)` or `(N, T)`.
        reset_interval: Steps between two resets of a population; None never resets.
        reset_offset: Shifts the phase of all resets.

    Raises:
        UnsupportedNodeError: If Lava has no processes for the program.
        RangeError: If a number of the program does not fit the registers of its process.
        ConfigError: If a number of steps is out of range.
        DataError: If a source has no input, or one that is not its shape.
    """

    program: Program
    steps: int
    inputs: Mapping[str, np.ndarray] = field(default_factory=dict)
    reset_interval: int | None = None
    reset_offset: int = 0

    def __post_init__(self) -> None:
        check_fit(self.program)
        _check_numbers(self, {"steps": 1, "reset_interval": 1})
        for source in self.program.sources:
            x = self.inputs.get(source.name)
            if x is None or x.shape[:-1] != source.shape[::-1]:
                raise DataError(
                    f"expected input ({', '.join(map(str, source.shape[::-1]))}, T) for source "
                    f"{source.name!r}, got {None if x is None else x.shape}; maps are (W, H, C)"
                )
            _check_train(f"input {source.name!r}", x, self.steps)

    def __str__(self) -> str:
        return f"a program of {len(self.program.populations)} populations"

    def write(self, folder: Path) -> dict[str, Any]:
        """Writes the program and its inputs; returns the rest as plain fields."""
        write_program(folder / PROGRAM, self.program)
        # By number: a source may have any name.
        arrays = {str(k): self.inputs[s.name] for k, s in enumerate(self.program.sources)}
        np.savez(folder / INPUTS, **arrays)  # type: ignore[arg-type]
        return {"network": None} | _clock(self)


Request = LavaRequest | ProgramRequest


def _clock(request: Request) -> dict[str, int | None]:
    names = ("steps", "reset_interval", "reset_offset")
    values = {name: getattr(request, name) for name in names}
    return {name: None if value is None else int(value) for name, value in values.items()}


def _check_numbers(request: Request, lowest: dict[str, int]) -> None:
    for name, least in lowest.items():
        value = getattr(request, name)
        if value is not None and value < least:
            raise ConfigError(f"expected {name} >= {least}, got {value}; correct it")


def _check_train(name: str, x: np.ndarray, steps: int) -> None:
    _check_integers(name, x)
    if x.ndim < 2 or x.shape[-1] != steps:
        raise DataError(
            f"expected {name} with {steps} steps on its last axis, got shape {x.shape}; "
            "put time last and pad with zeros"
        )


def _check_integers(name: str, array: np.ndarray) -> None:
    if array.dtype.kind not in "biu":
        raise DataError(f"expected {name} of integers, got {array.dtype}; round it first")
