"""Lava as an oracle: what its fixed-point model of Loihi 2 computes for a `.net` file.

Lava hangs after errors, leaves processes and shared memory behind and fixes the start method of
`multiprocessing`. So it never runs in this process: `run_lava` starts `lava_worker` in a session
of its own, waits with a hard timeout and cleans up whatever happens. If this process is killed, a
watchdog that the worker started cleans up instead.
"""

import math
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from select import poll

import numpy as np

from ..core.errors import ConfigError, DataError, FormatError, MissingAbilityError, OracleError
from ..core.files import write_json
from .lava_cleanup import PATIENCE, end_session
from .lava_worker import FOLDER_PREFIX, REQUEST, RESULT

VERSIONS = {"lava-nc": "0.10.0", "lava-dl": "0.6.0"}
INSTALL = (
    "install it with `pip install --ignore-requires-python --no-deps lava-nc==0.10.0 "
    "lava-dl==0.6.0`, then `pip install h5py asteval networkx scikit-learn scipy`"
)
TAIL_LINES = 15


@dataclass(frozen=True, kw_only=True)
class LavaStatus:
    """Whether Lava can run here.

    Attributes:
        available: True where `run_lava` can be tried.
        reason: What is in the way; empty where nothing is.
        versions: Installed versions of lava-nc and lava-dl; absent ones left out.
    """

    available: bool
    reason: str
    versions: dict[str, str]


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
        lowest = {"steps": 1, "reset_interval": 1, "input_message_bits": 0}
        for name, least in lowest.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"expected {name} >= {least}, got {value}; correct it")
        _check_integers("x", self.x)
        _check_integers("input_bias", self.input_bias)
        if self.x is not None and (self.x.ndim < 2 or self.x.shape[-1] != self.steps):
            raise DataError(
                f"expected x with {self.steps} steps on its last axis, got shape {self.x.shape}; "
                "put time last and pad with zeros"
            )


def lava_status() -> LavaStatus:
    """Looks for Lava without importing it."""
    found = {name: number for name in VERSIONS if (number := _installed(name))}
    reason = ""
    if sys.platform != "linux":
        reason = f"expected Linux, got {sys.platform}"
    elif missing := [name for name in VERSIONS if name not in found]:
        reason = f"{' and '.join(missing)} not installed"
    elif found != VERSIONS:
        reason = f"expected the versions {_listed(VERSIONS)}, got {_listed(found)}"
    return LavaStatus(available=not reason, reason=reason, versions=found)


def run_lava(
    request: LavaRequest, *, trace: bool = True, timeout: float = 300.0
) -> dict[str, np.ndarray]:
    """Runs a network with Lava and returns what every layer did at every step.

    Lava takes about 4 s to import, then 5 to 20 ms a step for a few thousand neurons. Many
    samples in one run (with `reset_interval`) are much cheaper than many runs.

    Args:
        request: Network, input and resets.
        trace: Also return u and v.
        timeout: Seconds after which the run is ended.

    Returns:
        `s{k}` uint8 and with `trace` `u{k}`, `v{k}` int32, `(W, H, C, T)` or `(N, T)`, values
        after each step. k counts the layers that netx creates, an input block with neurons
        included.

    Raises:
        ConfigError: If `timeout` is not a finite number above 0.
        MissingAbilityError: If Lava is not installed.
        OracleError: If Lava fails, dies or does not finish in time.
    """
    if not 0 < timeout < math.inf:
        raise ConfigError(f"expected a finite timeout above 0 s, got {timeout}; give seconds")
    status = lava_status()
    if not status.available:
        raise MissingAbilityError(f"expected Lava to be installed, got: {status.reason}; {INSTALL}")
    with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        token = f"spikeproof-{secrets.token_hex(8)}"
        _write_request(folder, request, trace=trace, timeout=timeout, token=token)
        with _worker(folder, token=token) as worker:
            failure = _wait(worker.pid, timeout=timeout)
        if failure:
            error = OracleError(
                f"expected Lava to run {request.network}, got {failure}; see its last lines"
            )
            error.add_note(f"The last lines of Lava:\n{_tail(folder)}")
            raise error
        with np.load(folder / RESULT, allow_pickle=False) as result:
            return dict(result)


def _write_request(
    folder: Path, request: LavaRequest, *, trace: bool, timeout: float, token: str
) -> None:
    for name in ("x", "input_bias"):
        array = getattr(request, name)
        if array is not None:
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
    numbers = ("steps", "reset_interval", "reset_offset", "input_message_bits")
    values = {name: getattr(request, name) for name in numbers}
    described = {name: None if value is None else int(value) for name, value in values.items()}
    write_json(
        folder / REQUEST,
        described
        | {
            "network": str(Path(request.network).resolve()),
            "trace": trace,
            "timeout": timeout,
            "token": token,
            "caller": os.getpid(),
        },
    )


@contextmanager
def _worker(folder: Path, *, token: str) -> Iterator[subprocess.Popen[bytes]]:
    """Starts the worker; at the end of the block nothing of it is left."""
    read, write = os.pipe()
    with os.fdopen(read) as lifeline:
        try:
            worker = _start(folder, inherited=write)
        finally:
            os.close(write)
        try:
            yield worker
        finally:
            end_session(worker.pid, token=token)
            worker.wait()
            # Forks of the worker, its watchdog the last of them, hold the other end of the pipe.
            gone = poll()
            gone.register(lifeline, 0)
            gone.poll(PATIENCE * 1000)


def _start(folder: Path, *, inherited: int) -> subprocess.Popen[bytes]:
    """Starts the worker with one thread and no GPU, writing all it leaves into `folder`."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    settings = {"CUDA_VISIBLE_DEVICES": "", "MPLBACKEND": "Agg", "PYTHONFAULTHANDLER": "1"}
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "spikeproof.sim.lava_worker", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=folder,
            env=os.environ | threads | settings | {"TMPDIR": str(folder)},
            start_new_session=True,
            pass_fds=(inherited,),
        )


def _wait(pid: int, *, timeout: float) -> str:
    """Waits for a child to end, leaving it to be reaped; says how it failed, or nothing."""
    deadline = time.monotonic() + timeout
    # Not Popen.wait: a pid that is reaped before its session is ended may belong to another.
    options = os.WEXITED | os.WNOWAIT | os.WNOHANG
    while (ended := os.waitid(os.P_PID, pid, options)) is None:
        if time.monotonic() > deadline:
            return f"no answer within {timeout:g} s"
        time.sleep(0.02)
    if ended.si_code != os.CLD_EXITED:
        return f"death by {signal.Signals(ended.si_status).name}"
    return f"exit {ended.si_status}" if ended.si_status else ""


def _tail(folder: Path) -> str:
    """The last lines of what Lava wrote to stderr, or to stdout where that is empty."""
    for name in ("stderr", "stdout"):
        lines = (folder / name).read_text(errors="replace").splitlines()
        if lines:
            return "\n".join(lines[-TAIL_LINES:])
    return "(it printed nothing)"


def _check_integers(name: str, array: np.ndarray | None) -> None:
    if array is not None and array.dtype.kind not in "biu":
        raise DataError(f"expected {name} of integers, got {array.dtype}; round it first")


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())
