"""What all tests share: real data, seeded randomness, one thread."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
IN_CI = os.environ.get("CI") == "true"

settings.register_profile(
    "spikeproof",
    deadline=None,
    derandomize=IN_CI,
    max_examples=50 if IN_CI else 20,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("spikeproof")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--write-results`: long tests write what they measured into docs/results."""
    parser.addoption("--write-results", action="store_true", help="write docs/results")


def pytest_sessionstart() -> None:
    """One thread: tests stay repeatable and leave the other cores alone."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and of traces recorded from Lava, beside the repository."""
    folder = Path(os.environ.get("SPIKEPROOF_SHARED", ROOT.parent / "shared"))
    if folder.is_dir():
        return folder
    reason = f"expected test data in {folder}, got no such folder; set SPIKEPROOF_SHARED to it"
    if IN_CI:
        pytest.fail(reason)
    pytest.skip(f"NOT TESTED: {reason}")


@pytest.fixture
def rng() -> np.random.Generator:
    """The same draws for every test."""
    return np.random.default_rng(0)
