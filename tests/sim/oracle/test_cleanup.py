"""Ending a session of processes and removing its shared memory."""

import os
import subprocess
import sys
import time

import pytest

from spikeproof.sim.oracle.cleanup import SHARED_MEMORY, end_session, living, members, segments

TOKEN = f"spikeproof-test-{os.getpid()}"
NAMING = """
import multiprocessing, sys
from multiprocessing.shared_memory import SharedMemory
from spikeproof.sim.oracle.cleanup import name_shared_memory
name_shared_memory(sys.argv[1])
multiprocessing.set_start_method("fork")
memory = SharedMemory(create=True, size=8)
print(memory.name, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def family():
    """The leader of a session, with a child in the background that has a group of its own."""
    leader = subprocess.Popen(
        ["bash", "-c", "set -m; sleep 60 & wait"], start_new_session=True, stdin=subprocess.DEVNULL
    )
    while len(members(leader.pid)) < 2:
        time.sleep(0.01)
    yield leader.pid
    leader.kill()
    leader.wait()


def test_end_session_kills_members_that_changed_their_group(family):
    end_session(family, token=TOKEN)
    assert members(family) == []


def test_living_is_false_for_a_zombie(family):
    assert living(family)
    end_session(family, token=TOKEN)
    assert not living(family)


def test_end_session_removes_only_what_bears_the_token():
    names = [f"{TOKEN}-1", f"sem.{TOKEN}-2", f"other-{TOKEN}"]
    paths = [SHARED_MEMORY / name for name in names]
    for path in paths:
        path.touch()
    try:
        end_session(0x7FFFFFFF, token=TOKEN)
        assert [path.exists() for path in paths] == [False, False, True]
    finally:
        paths[-1].unlink()


def test_end_session_twice_changes_nothing(family):
    end_session(family, token=TOKEN)
    end_session(family, token=TOKEN)
    assert segments(TOKEN) == []


def test_shared_memory_of_a_killed_process_is_found_by_token():
    command = [sys.executable, "-c", NAMING, TOKEN]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert segments(TOKEN) == [SHARED_MEMORY / name]
        end_session(process.pid, token=TOKEN)
    assert segments(TOKEN) == []
