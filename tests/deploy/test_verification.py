import sys
from dataclasses import replace

import h5py
import pytest

from spikeproof.core.errors import FormatError, NotEqualError
from spikeproof.deploy import verification
from spikeproof.deploy.bundle import read_bundle, seal
from spikeproof.deploy.deployment import DeployConfig, run
from spikeproof.deploy.verification import verify_bundle
from spikeproof.export.to_onnx import checked_onnx
from spikeproof.sim.arrays import read_arrays, write_arrays
from spikeproof.sim.graph.file import write_nir
from spikeproof.sim.oracle.run import LavaStatus
from spikeproof.tests.deploy.networks import STEPS, deploy_lattice, lattice_graph, lattice_images
from spikeproof.tests.trackers import Recorder


@pytest.fixture
def no_lava(monkeypatch):
    status = LavaStatus(available=False, reason="lava-nc not installed", versions={})
    monkeypatch.setattr(verification, "lava_status", lambda: status)


def respun(folder, key, change):
    """Changes one golden array and seals the bundle again."""
    arrays = read_arrays(folder / "golden.npz")
    arrays[key] = change(arrays[key])
    write_arrays(folder / "golden.npz", arrays)
    seal(folder)


@pytest.mark.usefixtures("no_lava")
def test_untouched_bundle_passes_and_tells_what_was_not_run(sealed):
    checks = {check.name: check for check in verify_bundle(sealed)}
    assert list(checks) == ["hashes", "twin", "trace", "float", "lava"]
    assert checks["hashes"].detail == "9 files as sealed"
    assert checks["twin"].detail == "3 golden samples, every spike and logit equal"
    assert checks["trace"].detail == "4602 values of golden.nir as nir reads them, equal"
    assert checks["float"].detail == "3 of 3 golden samples in the same class"
    assert not checks["lava"].was_run
    assert checks["lava"].detail == "not run: lava-nc not installed"


@pytest.mark.usefixtures("no_lava")
def test_progress_is_told_executor_by_executor(sealed):
    tracker = Recorder()
    verify_bundle(sealed, tracker=tracker)
    assert tracker.counts == [("twin", 3, 3), ("float", 3, 3)]


@pytest.mark.usefixtures("no_lava")
@pytest.mark.parametrize("key", ["s1", "logits", "predictions"])
def test_other_golden_values_are_named(spoilt, key):
    def change(array):
        array[(0,) * array.ndim] = 1 - array[(0,) * array.ndim]
        return array

    respun(spoilt, key, change)
    with pytest.raises(NotEqualError, match=rf"expected {key} on twin as in golden.npz.* at \(0,"):
        verify_bundle(spoilt)


@pytest.mark.usefixtures("no_lava")
def test_spike_missing_in_the_trace_is_named(spoilt):
    with h5py.File(spoilt / "golden.nir", "r+") as file:
        stored = file["nodes/fire2/observables/spikes/data"]
        assert isinstance(stored, h5py.Dataset)
        stored[0, 1, 3] = ~stored[0, 1, 3]
    seal(spoilt)
    with pytest.raises(NotEqualError, match="expected spikes of node 'fire2' in golden.nir as in"):
        verify_bundle(spoilt)


@pytest.mark.usefixtures("no_lava")
def test_trace_that_nir_cannot_read_is_refused(spoilt):
    (spoilt / "golden.nir").write_bytes(b"no HDF5")
    seal(spoilt)
    with pytest.raises(FormatError, match="expected golden.nir in .* to hold NIR data, got"):
        verify_bundle(spoilt)


@pytest.mark.usefixtures("no_lava")
def test_onnx_file_that_computes_otherwise_is_found(spoilt):
    other = lattice_images(2, seed=1)
    program = read_bundle(spoilt).program
    assert program.readout is not None
    readout = replace(program.readout, scale=1.0)
    wrong = checked_onnx(replace(program, readout=readout), other)
    (spoilt / "model.onnx").write_bytes(wrong)
    seal(spoilt)
    with pytest.raises(NotEqualError, match="ONNX file's logits to equal the twin's in every bit"):
        verify_bundle(spoilt)


@pytest.mark.usefixtures("no_lava")
def test_onnx_file_is_not_run_without_onnxruntime(spoilt, monkeypatch):
    (spoilt / "model.onnx").write_bytes(b"")
    seal(spoilt)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    found = {check.name: check for check in verify_bundle(spoilt)}["onnx"]
    assert not found.was_run
    assert "expected onnxruntime" in found.detail


def test_changed_file_is_named_before_anything_runs(spoilt):
    (spoilt / "chip.json").write_text("{}")
    with pytest.raises(NotEqualError, match="chip.json"):
        verify_bundle(spoilt)


def test_other_folder_is_refused(tmp_path):
    with pytest.raises(FormatError, match="expected a bundle"):
        verify_bundle(tmp_path)


@pytest.mark.usefixtures("no_lava")
def test_bundle_of_a_file_without_metadata_passes(tmp_path):
    graph = lattice_graph()
    del graph.metadata["steps"], graph.metadata["dt"]
    write_nir(tmp_path / "model.nir", graph)
    given = {"dt": 0.25, "steps": STEPS}
    run(DeployConfig(golden=2), tmp_path / "model.nir", tmp_path / "bundle", given=given)
    checks = {check.name: check.detail for check in verify_bundle(tmp_path / "bundle")}
    assert checks["float"] == "2 of 2 golden samples in the same class"


@pytest.mark.lava
def test_lava_reproduces_the_golden_vectors(sealed):
    lava = verify_bundle(sealed)[-1]
    assert (lava.name, lava.was_run) == ("lava", True)
    assert lava.detail == "3 golden samples, every spike and logit equal"


@pytest.mark.lava
def test_lava_finds_a_net_file_that_differs(tmp_path):
    """The twin runs `program.h5`, Lava `model.net`: a bundle where they disagree fails."""
    folder = deploy_lattice(tmp_path)
    (tmp_path / "other").mkdir()
    other = deploy_lattice(tmp_path / "other", seed=1)
    (folder / "model.net").write_bytes((other / "model.net").read_bytes())
    seal(folder)
    with pytest.raises(NotEqualError, match="on lava as in golden.npz, got another value"):
        verify_bundle(folder)
