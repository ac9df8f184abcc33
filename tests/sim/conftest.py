"""Whether Lava has left anything behind."""

import secrets
import tempfile

import pytest

from spikeproof.sim.oracle import run as lava
from spikeproof.sim.oracle.cleanup import segments
from spikeproof.tests.sim.lava_leftovers import processes_naming


@pytest.fixture
def nothing_left(tmp_path, monkeypatch):
    """Fails where `run_lava` returns and leaves a process, shared memory or a folder."""
    word = secrets.token_hex(8)
    monkeypatch.setattr(lava.secrets, "token_hex", lambda n: word)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    yield
    assert processes_naming(temporary) == []
    assert segments(f"spikeproof-{word}") == []
    assert list(temporary.iterdir()) == []
