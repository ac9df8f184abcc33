"""Running a `.net` file on an input file: the same arrays in and out for the twin and for Lava."""

import warnings
from pathlib import Path

import numpy as np
import torch

from ...core.axes import lava_to_map, lava_to_train, train_to_lava
from ...core.errors import ConfigError, DataError, RangeError
from ...core.progress import SILENT, Tracker
from ..clock import LavaClock
from ..oracle.run import LavaRequest, run_lava
from ..program import BIAS
from ..twin import Observer, Twin
from .build import AS_LAVA, INPUT, misfit
from .input import NetxInput
from .network import NetxNetwork, read_netx

MAX_NEURON_STEPS = 1 << 28
"""Spikes, u and v of so many take about 6 GiB."""


def simulate_twin(
    network: Path,
    given: NetxInput,
    *,
    trace: bool,
    strict: bool,
    device: str = "cpu",
    observe: Observer | None = None,
    tracker: Tracker = SILENT,
) -> dict[str, np.ndarray]:
    """Runs a `.net` file on the twin; `observe` is shown the recorded run.

    Returns:
        `s{k}` uint8 and with `trace` `u{k}`, `v{k}` int32, in Lava's axes.

    Raises:
        ConfigError: If it would be larger than `MAX_NEURON_STEPS`.
        RangeError: If `strict` and a number does not fit the chip.
    """
    read = _opened(network, given, strict=strict)
    inputs, biases = _drives(read, given, network)
    clock = LavaClock(
        steps=given.steps, reset_interval=given.reset_interval, reset_offset=given.reset_offset
    )
    with torch.no_grad():
        record = trace or observe is not None
        run = Twin(read.program, device=device).run(
            inputs, clock, biases=biases, record=record, tracker=tracker
        )
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
    network: Path,
    given: NetxInput,
    *,
    trace: bool,
    strict: bool,
    timeout: float = 3600.0,
    tracker: Tracker = SILENT,
) -> dict[str, np.ndarray]:
    """Runs a `.net` file on Lava; results as of `simulate_twin`.

    The file is read by the twin's reader first: Lava itself skips what it does not know.

    Raises:
        MissingAbilityError: If Lava is not installed.
        OracleError: If Lava fails or hangs.
    """
    _drives(_opened(network, given, strict=strict), given, network)
    return run_lava(netx_request(network, given), trace=trace, timeout=timeout, tracker=tracker)


def netx_request(network: Path, given: NetxInput) -> LavaRequest:
    """What asks Lava for the same run."""
    return LavaRequest(
        network=network,
        steps=given.steps,
        x=given.x,
        input_bias=given.input_bias,
        reset_interval=given.reset_interval,
        reset_offset=given.reset_offset,
        input_message_bits=given.input_message_bits,
    )


def _opened(network: Path, given: NetxInput, *, strict: bool) -> NetxNetwork:
    """The network, after a warning for each layer, and for the input, that does not fit."""
    read = read_netx(network, message_bits=given.input_message_bits, payload=given.payload)
    _check_size(read, given, network)
    lines = list(read.warnings)
    if changes := list(given.changes()):
        lines.append(misfit(f"the input of {network}", changes))
    if strict and lines:
        raise RangeError(f"{lines[0].removesuffix(AS_LAVA)}mend it, or do without strict")
    for line in lines:
        warnings.warn(line, stacklevel=3)
    return read


def _check_size(read: NetxNetwork, given: NetxInput, path: Path) -> None:
    """Refuses a run whose spikes and registers would not fit in memory."""
    neurons = sum(p.size for p in read.program.populations)
    if neurons * given.steps > MAX_NEURON_STEPS:
        raise ConfigError(
            f"expected at most {MAX_NEURON_STEPS} neurons times steps of {path}, got {neurons} "
            f"times {given.steps}; run fewer steps"
        )


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
        bias = lava_to_map(given.input_bias).astype(BIAS.dtype).astype(np.int32)
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
