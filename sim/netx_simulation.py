"""Running a `.net` file on an input file: the same arrays in and out for the twin and for Lava."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int

from ..core.axes import lava_to_map, lava_to_train, train_to_lava
from ..core.errors import DataError, RangeError
from .arrays import read_arrays
from .clock import LavaClock
from .lava import LavaRequest, run_lava
from .netx import INPUT, NetxNetwork, read_netx
from .twin import Observer, Twin

MAX_STEPS = 1 << 20


@dataclass(frozen=True, kw_only=True, eq=False)
class NetxInput:
    """What drives a `.net` file, in Lava's axes.

    Args:
        steps: T.
        x: External spikes or payload, `(W, H, C, T)` or `(N, T)`; None where a bias drives it.
        input_bias: Bias mantissa of the input block, `(W, H, C)` or `(N,)`.
        reset_interval: Steps between resets; None for none.
        reset_offset: Shifts the phase of every reset.
        input_message_bits: 0 for binary spikes, above 0 for a payload that multiplies.
    """

    steps: int
    x: Int[np.ndarray, "..."] | None = None
    input_bias: Int[np.ndarray, "..."] | None = None
    reset_interval: int | None = None
    reset_offset: int = 0
    input_message_bits: int = 0

    @property
    def payload(self) -> tuple[int, int]:
        """Least and greatest value that enters."""
        if self.x is None or self.x.size == 0:
            return 0, 1
        return min(0, int(self.x.min())), max(1, int(self.x.max()))


def read_input(path: Path) -> NetxInput:
    """Reads a simulation's input.

    Raises:
        FormatError: If the file is no npz file of plain arrays.
        DataError: If an array is missing, not finite or out of bounds.
    """
    arrays = read_arrays(path)
    if "x" not in arrays and "input_bias" not in arrays:
        raise DataError(
            f"expected x or input_bias in {path}, got {', '.join(arrays) or 'nothing'}; add the "
            f"network's input"
        )
    x, bias = (_whole(arrays, name, path) for name in ("x", "input_bias"))
    steps = _number(arrays, "steps", path, least=1)
    if steps is None:
        raise DataError(f"expected steps in {path}, got none; add the number of steps")
    if x is not None and (x.ndim == 0 or x.shape[-1] != steps):
        raise DataError(
            f"expected x in {path} to have {steps} steps on its last axis, got {list(x.shape)}; "
            f"put time last"
        )
    return NetxInput(
        steps=steps,
        x=x,
        input_bias=bias,
        reset_interval=_number(arrays, "reset_interval", path, least=1),
        reset_offset=_number(arrays, "reset_offset", path) or 0,
        input_message_bits=_number(arrays, "input_message_bits", path) or 0,
    )


def simulate_twin(
    network: Path,
    given: NetxInput,
    *,
    trace: bool,
    strict: bool,
    device: str = "cpu",
    observe: Observer | None = None,
) -> dict[str, np.ndarray]:
    """Runs a `.net` file on the twin; `observe` is shown the recorded run.

    Returns:
        `s{k}` uint8 and with `trace` `u{k}`, `v{k}` int32, in Lava's axes.

    Raises:
        RangeError: If `strict` and a number does not fit the chip.
    """
    read = _opened(network, given, strict=strict)
    inputs, biases = _drives(read, given, network)
    clock = LavaClock(
        steps=given.steps, reset_interval=given.reset_interval, reset_offset=given.reset_offset
    )
    with torch.no_grad():
        record = trace or observe is not None
        run = Twin(read.program, device=device).run(inputs, clock, biases=biases, record=record)
    if observe is not None:
        observe(read.program, run, inputs)
    found: dict[str, np.ndarray] = {}
    for k, population in enumerate(read.program.populations):
        found[f"s{k}"] = _lava(run.spikes[population.name], np.uint8)
        if trace:
            found[f"u{k}"] = _lava(run.registers[population.name].u, np.int32)
            found[f"v{k}"] = _lava(run.registers[population.name].v, np.int32)
    return found


def simulate_lava(
    network: Path, given: NetxInput, *, trace: bool, strict: bool, timeout: float = 3600.0
) -> dict[str, np.ndarray]:
    """Runs a `.net` file on Lava; results as of `simulate_twin`.

    The file is read by the twin's reader first: Lava itself skips what it does not know.

    Raises:
        MissingAbilityError: If Lava is not installed.
        OracleError: If Lava fails or hangs.
    """
    _drives(_opened(network, given, strict=strict), given, network)
    request = LavaRequest(
        network=network,
        steps=given.steps,
        x=given.x,
        input_bias=given.input_bias,
        reset_interval=given.reset_interval,
        reset_offset=given.reset_offset,
        input_message_bits=given.input_message_bits,
    )
    return run_lava(request, trace=trace, timeout=timeout)


def _opened(network: Path, given: NetxInput, *, strict: bool) -> NetxNetwork:
    """The network, after a warning for everything in it, or in its bias, that does not fit."""
    read = read_netx(
        network, message_bits=given.input_message_bits, payload=given.payload, strict=strict
    )
    changes = [*read.warnings, *_bias_changes(given)]
    if strict and changes:
        raise RangeError(changes[0])
    for change in changes:
        warnings.warn(change, stacklevel=3)
    return read


def _bias_changes(given: NetxInput) -> list[str]:
    bias = given.input_bias
    if bias is None or (bias == bias.astype(np.int16)).all():
        return []
    return [
        f"expected input_bias within int16, got {bias.min()}..{bias.max()}; computed as Lava does"
    ]


def _drives(
    read: NetxNetwork, given: NetxInput, path: Path
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Inputs and biases of the twin, batch axis included."""
    _check_only(read, given, path)
    if read.is_bias_driven:
        first = read.program.populations[0]
        if given.input_bias is None or lava_to_map(given.input_bias).shape != first.shape:
            raise DataError(
                f"expected input_bias {first.shape[::-1]} for the input block of {path}, got "
                f"{None if given.input_bias is None else given.input_bias.shape}; Lava drives an "
                f"input block by its bias alone"
            )
        bias = lava_to_map(given.input_bias).astype(np.int16).astype(np.int32)
        return {}, {first.name: torch.from_numpy(bias)[None]}
    source = read.program.sources[0]
    if given.x is None or given.x.shape[:-1] != source.shape[::-1]:
        raise DataError(
            f"expected x ({', '.join(map(str, source.shape[::-1]))}, T) for {path}, got "
            f"{None if given.x is None else given.x.shape}; maps are (W, H, C)"
        )
    x = torch.from_numpy(lava_to_train(given.x).astype(np.int64))
    return {INPUT: x[:, None]}, {}


def _check_only(read: NetxNetwork, given: NetxInput, path: Path) -> None:
    """Refuses the input that the network has no use for."""
    name, idle = ("x", given.x) if read.is_bias_driven else ("input_bias", given.input_bias)
    if idle is not None:
        driver = "the bias of its input block" if read.is_bias_driven else "x"
        raise DataError(
            f"expected no {name} for {path}, got one; it is driven by {driver} alone, leave it out"
        )


def _lava(values: torch.Tensor, dtype: type) -> np.ndarray:
    return train_to_lava(values[:, 0].cpu().numpy().astype(dtype))


def _whole(arrays: dict[str, np.ndarray], name: str, path: Path) -> np.ndarray | None:
    """Integers, fractions dropped towards zero as Lava does."""
    if name not in arrays:
        return None
    array = arrays[name]
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise DataError(
            f"expected finite numbers in {name} of {path}, got {array.dtype} with NaN, infinity or "
            f"no numbers; mend the file"
        )
    # In float64, because the size of the least int64 is no int64.
    peak = float(np.abs(array.astype(np.float64)).max(initial=0.0))
    if peak >= 1 << 31:
        raise DataError(
            f"expected 32-bit numbers in {name} of {path}, got up to {peak:g}; scale the input down"
        )
    return array.astype(np.int32)


def _number(arrays: dict[str, np.ndarray], name: str, path: Path, *, least: int = 0) -> int | None:
    if name not in arrays:
        return None
    array = arrays[name]
    if array.size != 1 or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise DataError(f"expected one whole number {name} in {path}, got {array!r}; mend the file")
    value = int(array.reshape(()))
    if value != array.reshape(()) or not least <= value <= MAX_STEPS:
        raise DataError(
            f"expected a whole number {least}..{MAX_STEPS} as {name} of {path}, got "
            f"{array.reshape(())}; mend the file"
        )
    return value
