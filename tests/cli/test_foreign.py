"""A file of another framework, from the command line to the chip."""

import nir
import numpy as np
import pytest

from spikeproof.sim.graph.file import write_nir
from spikeproof.tests.deploy.networks import affine, chain, conv, flatten

SHAPE, DT = (1, 8, 8), 1e-4
HOW = ("--dt", DT, "--steps", 4, "--encoding", "direct", "--readout", "last")


@pytest.fixture
def model(tmp_path, rng):
    """Leaky and current-based neurons and a leaky integrator, without metadata."""

    def full(shape, *values):
        return [np.full(shape, value) for value in values]

    first = conv(rng.normal(size=(3, 1, 3, 3)), stride=2)
    first.input_shape = SHAPE[1:]
    nodes = {
        "conv": first,
        "lif": nir.LIF(*full((3, 4, 4), 1e-3, 10.0, 0.0, 1.0)),
        "flat": flatten((3, 4, 4)),
        "dense": affine(rng.normal(size=(6, 48)) / 3),
        "cuba": nir.CubaLIF(*full((6,), 2e-4, 1e-3, 10.0, 0.0, 1.0)),
        "out": affine(rng.normal(size=(4, 6))),
        "li": nir.LI(*full((4,), 1e-3, 10.0, 0.0)),
    }
    graph = chain(nodes, shape=SHAPE)
    graph.metadata = {}
    write_nir(tmp_path / "foreign.nir", graph)
    return tmp_path / "foreign.nir"


def test_deploy_runs_it_where_the_options_say_what_the_file_does_not(spikeproof, model, tmp_path):
    done = spikeproof("deploy", model, "--out", tmp_path / "chip", *HOW, "--reset", "zero")
    assert (done.code, done.err) == (0, "")
    assert "approximation" not in done.out
    assert spikeproof("verify", tmp_path / "chip").code == 0


def test_deploy_refuses_what_is_only_nearly_on_the_chip(spikeproof, model, tmp_path):
    words = ("deploy", model, "--out", tmp_path / "chip", *HOW, "--reset", "subtract")
    done = spikeproof(*words)
    assert done.code == 2
    assert "node 'lif' that the chip holds exactly" in done.err
    done = spikeproof(*words, "--allow-approximation")
    assert done.code == 0
    assert "note: approximation: lif: reset to 0 and not by subtraction" in done.out


def test_simulate_takes_the_reset_and_the_integration(spikeproof, model, tmp_path, rng):
    images = rng.integers(0, 256, (3, 8, 8, 1), dtype=np.uint8)
    np.savez(tmp_path / "in.npz", images=images)
    words = ("--input", tmp_path / "in.npz", "--backend", "float", *HOW, "--reset", "subtract")
    logits = []
    for integration in ("euler", "exponential"):
        out = tmp_path / f"{integration}.npz"
        done = spikeproof("simulate", model, "--out", out, *words, "--integration", integration)
        assert done.code == 0
        with np.load(out) as found:
            logits.append(found["logits"])
    assert not np.array_equal(*logits)
