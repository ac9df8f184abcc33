"""What every benchmark shares: warm-up, repeats, medians, a printed line a goal, a JSON record."""

import ctypes
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from spikeproof.core.files import write_json
from spikeproof.core.record import versions

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds of one call: median, fastest and slowest of the repeats."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A ratio that a benchmark has to reach, and what it measured."""

    name: str
    ratio: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether the ratio lies where it has to."""
        above = self.at_least is None or self.ratio >= self.at_least
        return above and (self.at_most is None or self.ratio <= self.at_most)

    def __str__(self) -> str:
        limit = f">= {self.at_least}" if self.at_least is not None else f"<= {self.at_most}"
        return f"{self.name}: {self.ratio:.3g} ({limit}: {'met' if self.is_met else 'MISSED'})"


def hold_memory() -> None:
    """Keeps freed memory in the process, where the C library can be told to (glibc).

    Otherwise whoever allocates after a call that freed much pays for getting it back, which on a
    virtual machine takes as long as the work itself.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        trim_threshold, mmap_threshold = -1, -3
        library.mallopt(trim_threshold, 1 << 30)
        library.mallopt(mmap_threshold, 32 << 20)


def one_thread() -> None:
    """Holds torch to one thread."""
    torch.set_num_threads(1)


def timed(call: Callable[[], object], *, repeats: int = 7, warm_up: int = 2) -> Timing:
    """Times a call after warming it up."""
    for _ in range(warm_up):
        call()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return Timing(median=statistics.median(seconds), low=min(seconds), high=max(seconds))


def alternating(
    calls: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 7,
    warm_up: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Times calls in turn, round after round, so that a slow moment of the machine hits all.

    `time.process_time` as `clock` leaves out what other processes take, and what a device does.
    """
    for call in calls.values():
        for _ in range(warm_up):
            call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = clock()
            call()
            seconds[name].append(clock() - start)
    return seconds


def ratio(seconds: dict[str, list[float]], name: str, base: str) -> float:
    """Median over rounds of one call's time over another's in the same round."""
    pairs = zip(seconds[name], seconds[base], strict=True)
    return statistics.median(a / b for a, b in pairs)


def report(name: str, *, goals: list[Goal], details: dict[str, object]) -> None:
    """Prints a line a goal and writes the record; exits 1 if a goal is missed."""
    record = {
        "benchmark": name,
        "goals": [{**asdict(goal), "is_met": goal.is_met} for goal in goals],
        "details": details,
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
        "versions": versions(),
    }
    write_json(RESULTS / f"{name}.json", json.loads(json.dumps(record)))
    for goal in goals:
        print(goal)
    raise SystemExit(0 if all(goal.is_met for goal in goals) else 1)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), "")
