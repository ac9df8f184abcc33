"""The commands on a network that no .net file can hold."""

import numpy as np
import pytest

from spikeproof.sim.arrays import read_arrays
from spikeproof.sim.graph.file import write_nir
from spikeproof.tests.deploy.networks import lattice_images
from spikeproof.tests.deploy.residual import deploy_residual, residual_graph


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A bundle, and images beside it."""
    folder = tmp_path_factory.mktemp("residual")
    deploy_residual(folder, samples=2)
    np.savez(folder / "in.npz", images=lattice_images(2).transpose(0, 2, 3, 1))
    return folder


def test_deploy_shows_relays_without_a_scale(spikeproof, tmp_path):
    write_nir(tmp_path / "model.nir", residual_graph())
    done = spikeproof("deploy", tmp_path / "model.nir", "--out", tmp_path / "bundle")
    assert done.code == 0
    row, on_cores = [line for line in done.out.splitlines() if line.startswith("fire4_relay2 ")]
    assert row.split()[1:5] == ["54", "54", "0", "relay"]
    assert on_cores.split()[2] == "1"
    assert "note: no model.net: population 'fire3' fed by" in done.out


def test_simulate_runs_it_on_the_twin(spikeproof, folder, tmp_path):
    words = folder / "bundle", "--input", folder / "in.npz", "--out", tmp_path / "out.npz"
    assert spikeproof("simulate", *words).code == 0
    assert "fire5_relay2" in read_arrays(tmp_path / "out.npz")["layers"]


@pytest.mark.lava
def test_parity_and_verify_run_it_on_lava(spikeproof, folder):
    done = spikeproof("parity", folder / "bundle", "--samples", 2)
    assert (done.code, done.err) == (0, "")
    assert "0 differ from Lava" in done.out
    done = spikeproof("verify", folder / "bundle")
    assert "lava     2 golden samples, every spike and logit equal" in done.out
