"""What NIR leaves open and a run needs: the time step, the steps, the input, reset and read-out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import nir
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ...core.errors import ConfigError, DataError, FormatError

ENCODINGS = ("direct", "frames")
READOUTS = ("membrane", "spikes", "last")
RESETS = ("zero", "value", "subtract")
THRESHOLDS = ("strict",)
BINNINGS = ("time", "count")
INTEGRATIONS = ("euler", "exponential")
MOST_STEPS = 2**20
"""More is a damaged number: a run would neither fit the memory nor end."""
REQUIRED = ("dt", "steps", "encoding", "readout", "reset")


@dataclass(frozen=True, kw_only=True)
class InputLattice:
    """Images as whole numbers: payload = round(scale·x) − offset, with x in [0, 1].

    One offset per channel; without any, none is subtracted. Payload 0 is also what zero padding
    means, so padding stays exact.
    """

    scale: int = 255
    offset: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.scale < 1:
            raise ConfigError(f"expected a lattice scale >= 1, got {self.scale}; images use 255")

    def payload(self, x: Float[Tensor, "N *map"]) -> Float[Tensor, "N *map"]:
        """Whole numbers in the dtype of `x`; the derivative is that of scale·x.

        Raises:
            DataError: If the channels of `x` are not as many as the offsets.
        """
        scaled = x * self.scale
        # round forward, identity backward; y − y.detach() is exactly 0
        whole = scaled.detach().round() + (scaled - scaled.detach())
        if not self.offset:
            return whole
        if x.ndim < 2 or x.shape[1] != len(self.offset):
            raise DataError(
                f"expected images [N, C, ...] of {len(self.offset)} channels, got {list(x.shape)}; "
                "the network's input lattice has one offset per channel"
            )
        offset = torch.tensor(self.offset, dtype=x.dtype, device=x.device)
        return whole - offset.reshape(-1, *(1,) * (x.ndim - 2))


@dataclass(frozen=True, kw_only=True)
class InputFrames:
    """What a cell of a frame holds: `unit` for each event, at most `cap`.

    `binning` says how a recording is cut into T bins: by "time" or by "count" of events.
    """

    binning: str = "count"
    unit: int = 1
    cap: int = 255

    def __post_init__(self) -> None:
        if self.binning not in BINNINGS or not 1 <= self.unit <= self.cap:
            raise ConfigError(
                f"expected frames binned by {' or '.join(BINNINGS)} and 1 <= unit <= cap, got "
                f"{self.binning!r}, unit {self.unit} and cap {self.cap}; correct them"
            )


@dataclass(frozen=True, kw_only=True)
class NirMeta:
    """How a NIR graph is run in discrete time.

    `dt` in the unit of the graph's `tau`; `steps` is T. `encoding`: "direct" repeats one image at
    every step, "frames" takes a train. `readout`: "membrane" averages the output over T (a linear
    node or an integrator), "last" is its value at the last step, "spikes" counts it (neurons).
    `reset`: "zero" sets a membrane that fired to 0, "value" to its node's `v_reset`, "subtract"
    takes its threshold away from it. `integration` is how a time constant becomes a decay:
    1 − dt/τ ("euler"), or exp(−dt/τ). Without an `input_lattice` images go in as x in [0, 1].
    `input_frames` says what frames hold, where the encoding is "frames" and it is known.
    `classes` are names, in the order of the logits; empty where unknown.
    """

    dt: float
    steps: int
    encoding: str
    readout: str
    reset: str
    threshold: str = "strict"
    integration: str = "euler"
    input_lattice: InputLattice | None = None
    input_frames: InputFrames | None = None
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.dt < float("inf"):
            raise ConfigError(f"expected dt > 0, got {self.dt}; give the time step of training")
        if self.steps < 1:
            raise ConfigError(f"expected steps >= 1, got {self.steps}; give the steps of training")
        if self.steps > MOST_STEPS:
            raise ConfigError(
                f"expected at most {MOST_STEPS} steps, got {self.steps}; give the steps of training"
            )
        choices = {
            "encoding": ENCODINGS,
            "readout": READOUTS,
            "reset": RESETS,
            "threshold": THRESHOLDS,
            "integration": INTEGRATIONS,
        }
        for field, known in choices.items():
            if getattr(self, field) not in known:
                raise ConfigError(
                    f"expected {field} to be one of {', '.join(known)}, got "
                    f"{getattr(self, field)!r}; anything else cannot be run exactly"
                )

    def payload(
        self, images: Float[Tensor, "N *map"] | UInt8[Tensor, "N *map"]
    ) -> Float[Tensor, "N *map"]:
        """What the input node receives for images, differentiable for float images.

        Args:
            images: uint8 (k stands for k/255, computed in float64), or float in [0, 1].

        Returns:
            float64 for uint8 images, else the dtype of `images`.
        """
        x = images.double() / 255 if images.dtype == torch.uint8 else images
        return x if self.input_lattice is None else self.input_lattice.payload(x)

    def to_metadata(self) -> dict[str, str | float | int]:
        """The graph metadata that `read_meta` reads back: strings and numbers."""
        found: dict[str, str | float | int] = {
            field: getattr(self, field) for field in (*REQUIRED, "threshold")
        }
        if self.integration != "euler":
            found["integration"] = self.integration
        found["classes"] = json.dumps(list(self.classes))
        if self.input_lattice is not None:
            lattice = {"scale": self.input_lattice.scale, "offset": self.input_lattice.offset}
            found["input_lattice"] = json.dumps(lattice, sort_keys=True)
        if self.input_frames is not None:
            found["input_frames"] = json.dumps(vars(self.input_frames), sort_keys=True)
        return found


def read_meta(graph: nir.NIRGraph, **given: Any) -> NirMeta:
    """Reads a graph's metadata.

    Args:
        graph: From any framework.
        **given: Values that stand in for absent metadata, by `NirMeta` field; None is as good as
            absent.

    Raises:
        FormatError: If something required is neither in the metadata nor given, naming all that
            is, or if what is there is malformed.
        ConfigError: If `given` holds an unknown field or value, or contradicts the metadata.
    """
    known = {field.name for field in fields(NirMeta)}
    overrides = {name: value for name, value in given.items() if value is not None}
    if unknown := overrides.keys() - known:
        raise ConfigError(f"expected options among {sorted(known)}, got {sorted(unknown)}")
    parsed = parse_metadata(graph.metadata)
    _require(parsed.keys() | overrides.keys())
    _check_stored(parsed)
    for name in parsed.keys() & overrides.keys():
        if parsed[name] != overrides[name]:
            raise ConfigError(
                f"expected {name} {parsed[name]} as the file says, got {overrides[name]}; leave "
                f"--{name} out"
            )
    return NirMeta(**(parsed | overrides))


def parse_metadata(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Values by `NirMeta` field of metadata as `NirMeta.to_metadata` writes it; no others.

    Raises:
        FormatError: If one is malformed.
    """
    known = {field.name for field in fields(NirMeta)}
    return {name: _parse(name, value) for name, value in stored.items() if name in known}


def _require(present: set[str]) -> None:
    missing = [name for name in REQUIRED if name not in present]
    if missing:
        options = " ".join(f"--{name}" for name in missing)
        raise FormatError(
            f"expected metadata {', '.join(REQUIRED)} in the NIR graph, got no "
            f"{', '.join(missing)}; give {options}, NIR itself does not say"
        )


def _check_stored(parsed: Mapping[str, Any]) -> None:
    """Blames the file, not the caller, for a stored value that cannot be run."""
    harmless = {"dt": 1.0, "steps": 1, "encoding": "direct", "readout": "membrane", "reset": "zero"}
    try:
        NirMeta(**(harmless | dict(parsed)))
    except ConfigError as error:
        raise FormatError(f"in the metadata of the NIR graph: {error}") from error


def _lattice(value: Any) -> InputLattice:
    found = json.loads(value)
    return InputLattice(
        scale=_whole(found["scale"]), offset=tuple(_whole(number) for number in found["offset"])
    )


def _frames(value: Any) -> InputFrames:
    found = json.loads(value)
    return InputFrames(
        binning=_text(found["binning"]), unit=_whole(found["unit"]), cap=_whole(found["cap"])
    )


def _names(value: Any) -> tuple[str, ...]:
    found = json.loads(value)
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise ValueError("not a JSON list of strings")
    return tuple(found)


def _whole(value: Any) -> int:
    if int(value) != value:
        raise ValueError(f"{value} is not a whole number")
    return int(value)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


_PARSERS = {
    "dt": float,
    "steps": _whole,
    "input_lattice": _lattice,
    "input_frames": _frames,
    "classes": _names,
}


def _parse(name: str, value: Any) -> Any:
    try:
        return _PARSERS.get(name, _text)(value)
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise FormatError(
            f"expected metadata {name!r} as spikeproof writes it, got {value!r} ({error}); "
            "correct the file's metadata"
        ) from error
