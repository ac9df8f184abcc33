"""Lava as an oracle: what its fixed-point model of Loihi 2 computes for a network or a Program.

Lava hangs after errors, leaves processes and shared memory behind and fixes the start method of
`multiprocessing`. So it never runs in this process: `run_lava` starts `worker` in a session
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from select import poll

import numpy as np

from ...core.errors import ConfigError, MissingAbilityError, OracleError
from ...core.files import write_json
from ...core.progress import SILENT, Tracker
from .cleanup import PATIENCE, end_session
from .request import LavaRequest, ProgramRequest, Request
from .worker import FOLDER_PREFIX, REQUEST, RESULT

__all__ = [
    "LavaRequest",
    "LavaStatus",
    "ProgramRequest",
    "lava_status",
    "run_lava",
    "run_lava_many",
]

VERSIONS = {"lava-nc": "0.10.0", "lava-dl": "0.6.0"}
INSTALL = (
    "install it with `pip install --ignore-requires-python --no-deps lava-nc==0.10.0 "
    "lava-dl==0.6.0`, then `pip install asteval networkx 'numpy<2.4'`"
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
    request: Request, *, trace: bool = True, timeout: float = 300.0, tracker: Tracker = SILENT
) -> dict[str, np.ndarray]:
    """Runs a network with Lava and returns what every layer did at every step.

    Lava takes about 4 s to import, then 5 to 20 ms a step for a few thousand neurons. Many
    samples in one run (with `reset_interval`) are much cheaper than many runs, and many runs in
    one call of `run_lava_many` are cheaper than many calls.

    Args:
        request: Network or program, input and resets.
        trace: Also return u and v.
        timeout: Seconds after which the run is ended.
        tracker: Shown that it runs; Lava does not say how far it is.

    Returns:
        `s{k}` uint8 and with `trace` `u{k}`, `v{k}` int32, `(W, H, C, T)` or `(N, T)`, values
        after each step. k counts the layers that netx creates, an input block with neurons
        included, or a program's populations.

    Raises:
        ConfigError: If `timeout` is not a finite number above 0.
        MissingAbilityError: If Lava is not installed.
        OracleError: If Lava fails, dies or does not finish in time.
    """
    with tracker.task("Lava", 1) as task:
        task.advance(0, f"{request.steps} steps")
        (found,) = run_lava_many([request], trace=trace, timeout=timeout)
    return found


def run_lava_many(
    requests: Sequence[Request], *, trace: bool = True, timeout: float = 300.0
) -> list[dict[str, np.ndarray]]:
    """Runs networks one after the other, with one import of Lava; each as `run_lava` would.

    Args:
        requests: What to run. Each runs in processes of its own, from its initial state.
        trace: Also return u and v.
        timeout: Seconds after which all of it is ended.

    Returns:
        What `run_lava` returns, for each request.

    Raises:
        ConfigError: If `timeout` is not a finite number above 0.
        MissingAbilityError: If Lava is not installed.
        OracleError: If Lava fails on one of them; those after it are not run.
    """
    if not 0 < timeout < math.inf:
        raise ConfigError(f"expected a finite timeout above 0 s, got {timeout}; give seconds")
    status = lava_status()
    if not status.available:
        raise MissingAbilityError(f"expected Lava to be installed, got: {status.reason}; {INSTALL}")
    with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        token = f"spikeproof-{secrets.token_hex(8)}"
        _write_requests(folder, requests, trace=trace, timeout=timeout, token=token)
        with _worker(folder, token=token) as worker:
            failure = _wait(worker.pid, timeout=timeout)
        results = [folder / str(k) / RESULT for k in range(len(requests))]
        if failure:
            done = sum(path.exists() for path in results)
            failed = requests[done] if done < len(requests) else "to its end"
            error = OracleError(f"expected Lava to run {failed}, got {failure}; see its last lines")
            error.add_note(f"The last lines of Lava:\n{_tail(folder)}")
            raise error
        return [_read(path) for path in results]


def _read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as result:
        return dict(result)


def _write_requests(
    folder: Path, requests: Sequence[Request], *, trace: bool, timeout: float, token: str
) -> None:
    runs = []
    for index, request in enumerate(requests):
        (folder / str(index)).mkdir()
        runs.append(request.write(folder / str(index)) | {"trace": trace})
    write_json(
        folder / REQUEST,
        {"runs": runs, "timeout": timeout, "token": token, "caller": os.getpid()},
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
            [sys.executable, "-P", "-m", "spikeproof.sim.oracle.worker", str(folder)],
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


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())
