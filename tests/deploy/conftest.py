"""A bundle that the deploy tests share, and a copy of it to spoil."""

import shutil
from pathlib import Path

import pytest

from spikeproof.tests.deploy.networks import deploy_lattice


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle's folder; `model.nir` lies beside it. Not to be changed."""
    return deploy_lattice(tmp_path_factory.mktemp("sealed"))


@pytest.fixture
def spoilt(sealed: Path, tmp_path: Path) -> Path:
    """A copy of the bundle that a test may change."""
    return Path(shutil.copytree(sealed, tmp_path / "bundle"))
