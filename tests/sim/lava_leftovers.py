"""What a run of Lava may leave behind: processes, shared memory, folders."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from spikeproof.sim.oracle.cleanup import segments


def processes_naming(folder):
    """Living processes that run Lava for a request below `folder`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = entry.read_bytes()
            if b"oracle.worker" in line and str(folder).encode() in line:
                found.append(int(entry.parent.name))
    return found


def wait_until(claim, seconds=180):
    deadline = time.monotonic() + seconds
    while not claim() and time.monotonic() < deadline:
        time.sleep(0.05)
    return claim()


def token_in(temporary):
    """What the names of a run's shared memory start with; empty before its request is written."""
    for path in temporary.glob("*/request.json"):
        with suppress(OSError, ValueError):
            return json.loads(path.read_text())["token"]
    return ""


def are_running(temporary):
    """Whether Lava's own processes are at work for a request below `temporary`."""
    token = token_in(temporary)
    return bool(token) and len(segments(token)) > 8


@contextmanager
def command(temporary, *words):
    """A `spikeproof` command in a process of its own, its temporary files in `temporary`."""
    temporary.mkdir()
    with subprocess.Popen(
        [sys.executable, "-m", "spikeproof", *map(str, words)],
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell starts what runs in its background with SIGINT ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        try:
            yield process
        finally:
            process.kill()
