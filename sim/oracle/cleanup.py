"""Ends a session of processes for good and removes the shared memory that it made.

Lava runs one process per process model. When it fails or is killed they stay, idle forever, and
so do their segments in `/dev/shm`. So a run has a session (`setsid`) and a token that starts
every name it gives to shared memory: whoever knows both can clean up, at any time and twice.
"""

import ctypes
import os
import signal
import time
from contextlib import suppress
from multiprocessing import current_process, shared_memory
from multiprocessing.synchronize import SemLock
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
PROCESSES = Path("/proc")
PATIENCE = 10.0
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def living(pid: int) -> bool:
    """True while `pid` runs; a zombie does not."""
    return _session(pid) is not None


def members(session: int) -> list[int]:
    """The living processes of a session."""
    pids = (int(entry.name) for entry in PROCESSES.iterdir() if entry.name.isdigit())
    return [pid for pid in pids if _session(pid) == session]


def segments(token: str) -> list[Path]:
    """Shared memory and semaphores whose names start with `token`."""
    return [*SHARED_MEMORY.glob(f"{token}*"), *SHARED_MEMORY.glob(f"sem.{token}*")]


def end_session(session: int, *, token: str, spared: int | None = None) -> None:
    """Kills every process of `session`, waits until none lives, then removes its shared memory.

    Processes are found by session, not by group, so that one which changed its group is found
    too. The search is repeated, because one of them may fork while they are listed.

    Args:
        session: The pid of its leader.
        token: What the names of its shared memory start with.
        spared: A member that stays, and whose children those killed are or become.
    """
    deadline = time.monotonic() + PATIENCE
    while (alive := set(members(session)) - {spared}) and time.monotonic() < deadline:
        for pid in alive:
            _kill(pid)
        time.sleep(0.01)
    for path in segments(token):
        path.unlink(missing_ok=True)


def signal_on_orphaned(number: signal.Signals, *, parent: int) -> None:
    """Has the kernel send this process a signal as soon as its parent dies.

    Raises:
        RuntimeError: If the parent is another already: it died before it could be watched.
    """
    _prctl(PR_SET_PDEATHSIG, int(number))
    if os.getppid() != parent:
        raise RuntimeError(f"expected process {parent} as the parent, got {os.getppid()}")


def adopt_orphans() -> None:
    """Makes this process the parent of every descendant that loses its own, so that it reaps it."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def name_shared_memory(token: str) -> None:
    """Makes this process and its forks start every name of shared memory with `token`.

    Raises:
        RuntimeError: If this Python names them in another way, so that they could not be found.
    """
    prefix = f"/{token}-"
    names = {"_SHM_NAME_PREFIX": prefix, "_SHM_SAFE_NAME_LENGTH": len(prefix) + 16}
    for name, value in names.items():
        setattr(shared_memory, name, value)
    config: dict[str, str] = vars(current_process())["_config"]
    config["semprefix"] = f"/{token}"
    given = (vars(shared_memory)["_make_filename"](), vars(SemLock)["_make_name"]())
    if not all(name.startswith(prefix) for name in given):
        raise RuntimeError(f"expected shared memory named {prefix}..., got {given}")


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _session(pid: int) -> int | None:
    """The session of a process, None where it is gone or a zombie."""
    try:
        text = (PROCESSES / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # pid (name) state ppid pgrp session ...: the name may hold blanks and brackets.
    state, _, _, session, *_ = text.rpartition(")")[2].split()
    return None if state in "ZX" else int(session)
