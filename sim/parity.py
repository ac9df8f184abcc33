"""Twin against Lava: every spike, u and v of every layer, at every step, for every sample.

Samples run back to back in one Lava run with a periodic reset; the twin runs them as a batch, one
window of T steps a layer. Equality therefore proves the twin's arithmetic and its timing at once.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int

from ..core.axes import lava_to_train, train_to_lava
from ..core.errors import DataError
from ..core.progress import SILENT, Tracker
from .clock import LavaClock, Window
from .difference import Difference, Pair, differences, first_of
from .oracle.request import LavaRequest, ProgramRequest, Request
from .oracle.run import run_lava
from .program import Program, Source
from .twin import Run, Twin

OFFSET = 1
"""Reset offset of an external input: its first spikes arrive one step after its first column."""


@dataclass(frozen=True, kw_only=True)
class ParityReport:
    """Outcome of a comparison."""

    samples: int
    steps: int
    layers: tuple[str, ...]
    values: int
    differences: int
    by_layer: dict[str, int]
    spikes: int
    first: Difference | None

    @property
    def is_equal(self) -> bool:
        """Whether no value differs."""
        return self.differences == 0

    def to_json(self) -> dict[str, object]:
        """Plain fields."""
        return asdict(self)


def back_to_back(
    program: Program, payload: Int[np.ndarray, "t N *map"]
) -> tuple[np.ndarray, LavaClock]:
    """Samples as one train for Lava, and the clock that parts them.

    Args:
        program: With one external source and windows (an encoding).
        payload: Of each sample T maps, or a single one that is held for T steps.

    Returns:
        int32 `(W, H, C, steps)`, or `(N, steps)` where the first layer is dense: netx flattens no
        input. And a clock whose windows are the samples'.
    """
    if not all(synapse.is_conv for synapse in program.into(program.populations[0].name)):
        payload = payload.reshape(*payload.shape[:2], -1)
    return _in_a_row(program, payload)


def lava_request(
    program: Program, network: Path | None, payload: Int[np.ndarray, "t N *map"]
) -> tuple[Request, LavaClock]:
    """What asks Lava for all samples in one run, and the clock whose windows are theirs.

    Args:
        program: With one external source and windows (an encoding).
        network: Its `.net` file; None where no `.net` file can hold the program.
        payload: As of `back_to_back`.
    """
    (source,) = program.sources
    train, clock = (_in_a_row if network is None else back_to_back)(program, payload)
    resets = {"reset_interval": clock.reset_interval, "reset_offset": clock.reset_offset}
    if network is None:
        inputs = {source.name: train}
        return ProgramRequest(program=program, steps=clock.steps, inputs=inputs, **resets), clock
    request = LavaRequest(
        network=network,
        steps=clock.steps,
        x=train,
        input_message_bits=source.message_bits,
        **resets,
    )
    return request, clock


def compare(
    program: Program,
    network: Path | None,
    payload: Int[np.ndarray, "t N *map"],
    *,
    timeout: float = 600.0,
    tracker: Tracker = SILENT,
) -> ParityReport:
    """Runs a program on the twin and on Lava, and compares all they did.

    Args:
        program: With one external source and windows (an encoding).
        network: Its `.net` file, which Lava then loads; None has Lava's processes built from the
            program, which may branch.
        payload: As of `back_to_back`.
        timeout: Seconds after which Lava is killed.
        tracker: Shown each run.

    Raises:
        MissingAbilityError: If Lava is not installed.
        OracleError: If Lava fails or hangs.
    """
    (source,) = program.sources
    request, clock = lava_request(program, network, payload)
    lava = run_lava(request, timeout=timeout, tracker=tracker)
    twin = _twin(program, source, payload, tracker)
    return _compare(program, twin, lava, clock, payload.shape[1])


def _in_a_row(program: Program, payload: np.ndarray) -> tuple[np.ndarray, LavaClock]:
    """T steps of each sample in its own axes, then zeros until the last population is through."""
    steps, samples, shape = _window_steps(program), payload.shape[1], payload.shape[2:]
    clock = LavaClock(
        steps=samples * steps + OFFSET + max(p.phase for p in program.populations),
        reset_interval=steps,
        reset_offset=OFFSET,
    )
    train = np.zeros((clock.steps, *shape), dtype=np.int32)
    held = np.broadcast_to(payload, (steps, samples, *shape))
    train[: samples * steps] = held.swapaxes(0, 1).reshape(-1, *shape)
    return train_to_lava(train), clock


def _twin(program: Program, source: Source, payload: np.ndarray, tracker: Tracker) -> Run:
    x = torch.from_numpy(payload.astype(np.int64))
    window = Window(steps=_window_steps(program))
    with torch.no_grad():
        return Twin(program).run({source.name: x}, window, record=True, tracker=tracker)


def _window_steps(program: Program) -> int:
    if program.encoding is None:
        raise DataError(
            "expected a program with an encoding, got a bare network; simulate it on both backends "
            "and compare the outputs"
        )
    return program.encoding.steps


def _compare(
    program: Program, twin: Run, lava: dict[str, np.ndarray], clock: LavaClock, samples: int
) -> ParityReport:
    found = differences(_pairs(program, twin, lava, clock, samples), names=("twin", "Lava"))
    counts = {p.name: 0 for p in program.populations}
    for each in found:
        counts[each.layer] += each.differences
    return ParityReport(
        samples=samples,
        steps=_window_steps(program),
        layers=tuple(p.name for p in program.populations),
        values=sum(each.values for each in found),
        differences=sum(counts.values()),
        by_layer=counts,
        spikes=int(sum(float(s.sum()) for s in twin.spikes.values())),
        first=first_of(found),
    )


def _pairs(
    program: Program, twin: Run, lava: dict[str, np.ndarray], clock: LavaClock, samples: int
) -> Iterator[Pair]:
    """Both sides of every recorded quantity, `[T, N, *shape]`, layer after layer."""
    for index, layer in enumerate(program.populations):
        registers = twin.registers[layer.name]
        for quantity, ours in (
            ("spike", twin.spikes[layer.name]),
            ("u", registers.u),
            ("v", registers.v),
        ):
            trace = lava_to_train(lava[f"{quantity[0]}{index}"])
            windows = [trace[clock.window(layer.phase, sample)] for sample in range(samples)]
            theirs = np.stack(windows, axis=1).astype(np.int64)
            yield layer.name, quantity, ours.numpy().astype(np.int64), theirs
