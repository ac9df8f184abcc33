"""Programs as HDF5 files: everything a Program says, in named fields, no code."""

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..core.errors import FormatError, RangeError
from ..core.files import write_bytes
from .hdf5 import Fields, open_hdf5
from .interface import Encoding, Readout
from .program import INT32, PARAMETERS, Population, Program, Source, Synapse
from .whole_numbers import read_whole

FORMAT = "spikeproof program 1"


def write_program(path: Path, program: Program) -> None:
    """Writes a Program; equal programs give equal bytes.

    Raises:
        RangeError: If an array holds a number of more than 32 bits.
    """
    # In memory, because HDF5 ends the whole process where it cannot write.
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        _put(file, "format", FORMAT)
        _put(file, "head", json.dumps(_head(program), sort_keys=True))
        for index, population in enumerate(program.populations):
            for key in PARAMETERS:
                if isinstance(value := getattr(population, key), np.ndarray):
                    what = f"{PARAMETERS[key]} of population {population.name!r}"
                    file[f"{key}/{index}"] = _in_32_bits(value, what)
        for index, synapse in enumerate(program.synapses):
            what = f"weights of synapse {synapse.label}"
            file[f"weight/{index}"] = _in_32_bits(synapse.weight, what)
            if not isinstance(synapse.delay, int):
                file[f"delay/{index}"] = synapse.delay.astype(np.int64)
    write_bytes(path, buffer.getvalue())


def read_program(path: Path) -> Program:
    """Reads what `write_program` wrote.

    Raises:
        FormatError: If the file is foreign, damaged or inconsistent.
    """
    with open_hdf5(path) as file:
        fields = Fields(file, str(path))
        if "format" not in fields or fields.text("format") != FORMAT:
            raise FormatError(
                f"expected {path} to be a {FORMAT!r} file, got another kind; deploy again"
            )
        try:
            return _program(json.loads(fields.text("head")), fields)
        except FormatError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise FormatError(
                f"expected {path} to describe a whole program, got {error!r}; deploy again"
            ) from error


def _in_32_bits(values: np.ndarray, what: str) -> np.ndarray:
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if low < -INT32 or high >= INT32:
        raise RangeError(
            f"expected {what} of at most 32 bits, got {low}..{high}; a file holds no more, scale "
            f"them down"
        )
    return values.astype(np.int32)


def _put(file: h5py.File, name: str, text: str) -> None:
    file[name] = np.array([text.encode("ascii")])


def _head(program: Program) -> dict[str, Any]:
    encoding, readout = program.encoding, program.readout
    return {
        "sources": [vars(source) for source in program.sources],
        "populations": [
            {key: value for key, value in vars(p).items() if not _lies_apart(key, value)}
            for p in program.populations
        ],
        "synapses": [_synapse_head(synapse) for synapse in program.synapses],
        "outputs": program.outputs,
        "encoding": None if encoding is None else _encoding_head(encoding),
        "readout": None if readout is None else vars(readout) | {"scale": float(readout.scale)},
        "notes": dict(program.notes),
    }


def _encoding_head(encoding: Encoding) -> dict[str, Any]:
    """What is as it always was is not stated: files of before there was more are read alike."""
    usual = {"kind": "direct", "constant": 0}
    return {key: v for key, v in vars(encoding).items() if key not in usual or v != usual[key]}


def _lies_apart(key: str, value: object) -> bool:
    """Whether a parameter of a population is an array, or an absent one."""
    return key == "bias" or isinstance(value, np.ndarray)


def _synapse_head(synapse: Synapse) -> dict[str, Any]:
    head = {key: value for key, value in vars(synapse).items() if key != "weight"}
    return head if isinstance(synapse.delay, int) else {**head, "delay": None}


def _program(head: dict[str, Any], fields: Fields) -> Program:
    encoding, readout = head["encoding"], head["readout"]
    return Program(
        sources=tuple(Source(**_checked(source)) for source in head["sources"]),
        populations=tuple(
            Population(**_checked(p), **_arrays(fields, i))
            for i, p in enumerate(head["populations"])
        ),
        synapses=tuple(_synapse(s, i, fields) for i, s in enumerate(head["synapses"])),
        outputs=tuple(head["outputs"]),
        encoding=Encoding(**_checked(encoding)) if encoding else None,
        readout=Readout(**_checked(readout)) if readout else None,
        notes=_texts(head["notes"]),
    )


def _arrays(fields: Fields, index: int) -> dict[str, Any]:
    """The parameters of a population that are arrays."""
    found = {key: _integers(fields, key, index) for key in PARAMETERS}
    return {key: value for key, value in found.items() if value is not None}


def _synapse(head: dict[str, Any], index: int, fields: Fields) -> Synapse:
    weight = _integers(fields, "weight", index)
    if weight is None:
        raise KeyError(f"weight/{index}")
    stated = _checked({key: value for key, value in head.items() if key != "delay"})
    delay = head["delay"]
    if delay is None:
        delay = _integers(fields, "delay", index)
    return Synapse(**stated, weight=weight, **_checked({"delay": delay}))


def _integers(fields: Fields, kind: str, index: int) -> np.ndarray | None:
    """An array of 32-bit whole numbers; None where the file holds none."""
    if kind not in fields or str(index) not in fields.group(kind):
        return None
    changes: list[str] = []
    value = read_whole(fields.group(kind), str(index), changes)
    if changes:
        raise TypeError(f"fractions in {kind}/{index}")
    return value.astype(np.int64 if kind == "delay" else np.int32)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_whole(value: object) -> bool:
    return isinstance(value, tuple) and all(map(_is_whole, value))


def _are_two(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and _are_whole(value)


CHECKS: dict[str, Callable[[object], bool]] = {
    **dict.fromkeys(("name", "source", "target", "population", "kind"), _is_text),
    **dict.fromkeys(("low", "high", "message_bits", "du", "dv", "vth", "phase"), _is_whole),
    **dict.fromkeys(("shift", "groups", "steps", "constant"), _is_whole),
    **dict.fromkeys(("shape", "offset"), _are_whole),
    **dict.fromkeys(("stride", "padding", "dilation"), _are_two),
    "is_relay": lambda value: isinstance(value, bool),
    "scale": lambda value: isinstance(value, float) and math.isfinite(value),
    "delay": lambda value: _is_whole(value) or isinstance(value, np.ndarray),
}
"""What each field of a description has to be: JSON can hold anything."""


def _checked(head: dict[str, Any]) -> dict[str, Any]:
    """A description's fields, lists as the tuples that the dataclasses have.

    Raises:
        KeyError: If a field is not known.
        TypeError: If a field holds something else than it should.
    """
    stated = {key: tuple(v) if isinstance(v, list) else v for key, v in dict(head).items()}
    for key, value in stated.items():
        if not CHECKS[key](value):
            raise TypeError(f"{key} {value!r}")
    return stated


def _texts(notes: Any) -> dict[str, str]:
    if not isinstance(notes, dict) or not all(isinstance(v, str) for v in notes.values()):
        raise TypeError(f"notes {notes!r}")
    return notes
