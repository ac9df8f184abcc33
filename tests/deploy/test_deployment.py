import json

import nir
import numpy as np
import pytest

from spikeproof.core.axes import lava_to_train
from spikeproof.core.errors import (
    ConfigError,
    DataError,
    FormatError,
    NotEqualError,
    UnsupportedNodeError,
)
from spikeproof.core.files import read_json, sha256
from spikeproof.deploy.bundle import SUMS, read_bundle
from spikeproof.deploy.deployment import Calibration, DeployConfig, run
from spikeproof.deploy.scale import CANDIDATES, SearchConfig
from spikeproof.sim.arrays import read_arrays
from spikeproof.sim.clock import LavaClock
from spikeproof.sim.graph.file import write_nir
from spikeproof.sim.graph.meta import NirMeta
from spikeproof.sim.netx.input import read_input
from spikeproof.sim.netx.simulation import simulate_twin
from spikeproof.sim.program import BIAS
from spikeproof.tests.deploy.networks import (
    CLASSES,
    DT,
    SCALE,
    SHAPE,
    STEPS,
    conv,
    dense_graph,
    deploy_lattice,
    lattice_graph,
    lattice_images,
    linear,
    meta_of,
)

CONFIG = DeployConfig(golden=2)
QUICK = SearchConfig(attack_steps=1, samples=2)


def hashes(folder):
    return {path.name: sha256(path) for path in folder.iterdir()}


def calibration(count=4, **changes):
    labels = np.arange(count, dtype=np.int64) % CLASSES
    fields = {"images": lattice_images(count), "labels": labels, "source": "noise"}
    return Calibration(**fields | changes)


@pytest.mark.parametrize("seed", [0, 1])
def test_equal_inputs_give_equal_bytes(tmp_path, seed):
    found = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        found.append(hashes(deploy_lattice(folder, seed=seed, readout="spikes")))
    assert len(found[0]) == 10
    assert found[0] == found[1]


def test_equal_calibration_gives_equal_bytes(sealed, tmp_path):
    config = DeployConfig(golden=2, search=QUICK)
    for name in ("first", "second"):
        run(config, sealed / "model.nir", tmp_path / name, calibration=calibration())
    assert hashes(tmp_path / "first") == hashes(tmp_path / "second")


@pytest.mark.parametrize("readout", ["membrane", "spikes"])
def test_golden_input_on_the_net_file_gives_the_golden_spikes(tmp_path, readout):
    folder = deploy_lattice(tmp_path, readout=readout)
    golden, given = read_arrays(folder / "golden.npz"), read_input(folder / "golden.npz")
    traces = simulate_twin(folder / "model.net", given, trace=False, strict=True)
    clock = LavaClock(steps=given.steps, reset_interval=given.reset_interval, reset_offset=1)
    assert (given.reset_interval, given.reset_offset) == (STEPS, 1)
    for k, name in enumerate(["s0", "s1", "s2", "s3"]):
        trace = lava_to_train(traces[name])
        samples = [trace[clock.window(k, n)] for n in range(3)]
        np.testing.assert_array_equal(np.stack(samples, axis=1), golden[name], err_msg=name)
    assert all(golden[f"s{k}"].any() for k in range(3))


def test_dense_first_layer_takes_a_flat_train(tmp_path):
    folder = deploy_lattice(tmp_path, graph=dense_graph())
    given, golden = read_input(folder / "golden.npz"), read_arrays(folder / "golden.npz")
    assert given.x is not None
    assert given.x.shape == (60, given.steps)
    traces = simulate_twin(folder / "model.net", given, trace=False, strict=True)
    np.testing.assert_array_equal(traces["s0"][:, 1 : STEPS + 1].T, golden["s0"][:, 0])
    assert golden["s0"].any()


def test_golden_nir_holds_inputs_spikes_and_logits(sealed):
    nodes = nir.read_data(sealed / "golden.nir").nodes
    golden = read_arrays(sealed / "golden.npz")
    assert set(nodes) == {"input", "fire1", "fire2", "fire3", "last"}
    spikes = recorded(nodes["fire1"], "spikes")
    expected = golden["s0"].transpose(1, 0, 2, 3, 4).reshape(3, STEPS, -1)
    np.testing.assert_array_equal(spikes.data, expected.astype(bool))
    payload = recorded(nodes["input"], "input")
    assert (payload.data.shape, payload.dt) == ((3, STEPS, 60), DT)
    logits = recorded(nodes["last"], "logits")
    assert logits.dt == DT * STEPS
    np.testing.assert_array_equal(logits.data[:, 0], golden["logits"])
    np.testing.assert_array_equal(payload.data[:, 0], payload.data[:, -1])


def recorded(node, observable):
    assert isinstance(node, nir.NIRNodeData)
    found = node.observables[observable]
    assert isinstance(found, nir.TimeGriddedData)
    return found


def test_golden_images_are_the_calibration_ones(sealed, tmp_path):
    config = DeployConfig(golden=2, search=QUICK)
    run(config, sealed / "model.nir", tmp_path / "bundle", calibration=calibration())
    golden = read_arrays(tmp_path / "bundle" / "golden.npz")
    np.testing.assert_array_equal(golden["images"].transpose(0, 3, 1, 2), lattice_images(4)[:2])


def test_manifest_says_how_the_bundle_was_made(sealed, tmp_path):
    config = DeployConfig(golden=2, bits=5, seed=7, search=QUICK)
    run(config, sealed / "model.nir", tmp_path / "bundle", calibration=calibration())
    manifest = read_bundle(tmp_path / "bundle").manifest
    assert manifest["config"]["bits"] == 5
    assert manifest["config"]["seed"] == 7
    assert manifest["calibration"] == "noise"
    assert manifest["matches"] == "Lava fixed-point model"
    assert len(manifest["scales"]["tried"]) == 4 * len(CANDIDATES)
    assert "torch" in manifest["versions"]


def test_bundle_without_calibration_says_so(sealed):
    manifest = read_bundle(sealed).manifest
    assert manifest["calibration"] is None
    assert manifest["scales"] == "largest that fit (nothing searched)"


@pytest.mark.parametrize(
    ("kind", "stated"), [("nmnist", "CC BY-SA 4.0"), ("", "not known here"), (None, "drawn at ran")]
)
def test_licences_of_samples_are_stated(sealed, tmp_path, kind, stated):
    config = DeployConfig(golden=1, search=SearchConfig(samples=0))
    shown = None if kind is None else calibration(kind=kind)
    run(config, sealed / "model.nir", tmp_path / "bundle", calibration=shown)
    found = read_json(tmp_path / "bundle" / "licences.json")
    assert found["golden samples"].startswith(stated)
    assert found["made with"]["numpy"] != "not stated"
    assert "Apache License" in (tmp_path / "bundle" / "LICENSE").read_text()


def test_without_samples_to_search_on_the_scales_just_fit(sealed, tmp_path):
    config = DeployConfig(golden=2, search=SearchConfig(samples=0))
    run(config, sealed / "model.nir", tmp_path / "bundle", calibration=calibration())
    bundle = read_bundle(tmp_path / "bundle")
    assert bundle.manifest["scales"] == "largest that fit (nothing searched)"
    golden = read_arrays(tmp_path / "bundle" / "golden.npz")
    np.testing.assert_array_equal(golden["images"], calibration().images[:2].transpose(0, 2, 3, 1))


def test_given_metadata_is_kept_for_later_runs(tmp_path):
    graph = lattice_graph()
    del graph.metadata["steps"], graph.metadata["dt"]
    write_nir(tmp_path / "model.nir", graph)
    with pytest.raises(FormatError, match="got no dt, steps; give --dt --steps"):
        run(CONFIG, tmp_path / "model.nir", tmp_path / "bundle")
    given = {"dt": 0.25, "steps": STEPS, "readout": None}
    run(CONFIG, tmp_path / "model.nir", tmp_path / "bundle", given=given)
    assert NirMeta(**read_bundle(tmp_path / "bundle").metadata) == meta_of(dt=0.25)


def one_sign(tmp_path):
    """A network whose read-out Lava would change: negative weights alone, the largest 64.

    The bias fills its field at S = SCALE, so that the scale is not raised.
    """
    graph = lattice_graph()
    last = linear(graph, "last")
    last.weight = -(1 + np.abs(SCALE * last.weight) // 2) / SCALE
    last.bias = np.array([BIAS.max, 0, 0, 0]) / SCALE
    write_nir(tmp_path / "model.nir", graph)
    return tmp_path / "model.nir"


def test_network_that_lava_would_change_is_refused(tmp_path):
    with pytest.raises(NotEqualError, match="weights of one sign"):
        run(CONFIG, one_sign(tmp_path), tmp_path / "bundle")


def test_failing_deploy_leaves_nothing(tmp_path):
    file = one_sign(tmp_path)
    with pytest.raises(NotEqualError):
        run(CONFIG, file, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == [file]


def test_failing_deploy_leaves_the_bundle_that_was_there(tmp_path):
    folder = deploy_lattice(tmp_path)
    before = hashes(folder)
    with pytest.raises(NotEqualError):
        run(CONFIG, one_sign(tmp_path), folder)
    assert hashes(folder) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "model.nir"]


def test_bundle_is_replaced_by_a_new_one(tmp_path):
    folder = deploy_lattice(tmp_path)
    before = hashes(folder)
    deploy_lattice(tmp_path, seed=1)
    assert hashes(folder)["model.net"] != before["model.net"]


def test_folder_that_is_no_bundle_is_not_replaced(sealed, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="expected a new or empty folder, got .* other files"):
        run(CONFIG, sealed / "model.nir", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("shape", [(4, 2, 6, 6), (0, *SHAPE)], ids=["shape", "empty"])
def test_calibration_images_that_do_not_fit_are_refused(sealed, tmp_path, shape):
    data = calibration(images=np.zeros(shape, np.uint8), labels=np.zeros(shape[0], np.int64))
    with pytest.raises(DataError, match=r"expected calibration images of shape \(2, 6, 5\)"):
        run(CONFIG, sealed / "model.nir", tmp_path / "bundle", calibration=data)


def test_shortcut_from_the_input_is_refused(tmp_path):
    graph = lattice_graph()
    graph.nodes["again"] = conv(np.ones((6, 1, 2, 3)), stride=(2, 1), groups=2)
    graph.edges += [("input", "again"), ("again", "fire2")]
    write_nir(tmp_path / "model.nir", graph)
    with pytest.raises(UnsupportedNodeError, match="got a shortcut into 'fire2'; a relay passes"):
        run(CONFIG, tmp_path / "model.nir", tmp_path / "out")


def test_other_chips_are_refused(sealed, tmp_path):
    message = "expected a chip among loihi1, loihi2, got 'loihi9'"
    with pytest.raises(ConfigError, match=message):
        run(DeployConfig(chip="loihi9"), sealed / "model.nir", tmp_path / "bundle")


def test_no_golden_sample_is_refused():
    with pytest.raises(ConfigError, match="expected at least 1 golden sample, got 0"):
        DeployConfig(golden=0)


def test_report_is_the_bundles_chip_json(sealed, tmp_path):
    report = run(CONFIG, sealed / "model.nir", tmp_path / "bundle")
    assert json.loads((tmp_path / "bundle/chip.json").read_text()) == json.loads(json.dumps(report))
    assert (tmp_path / "bundle" / SUMS).is_file()


def test_silent_populations_are_remarked(tmp_path):
    graph = lattice_graph()
    spiking = {n: node for n, node in graph.nodes.items() if isinstance(node, nir.IF | nir.LIF)}
    name, node = next(iter(spiking.items()))
    node.v_threshold = np.full_like(node.v_threshold, 1e4)
    write_nir(tmp_path / "deaf.nir", graph)
    report = run(CONFIG, tmp_path / "deaf.nir", tmp_path / "deaf")
    remarks = report["remarks"]
    assert isinstance(remarks, list)
    assert any(remark.startswith(f"{name}: no neuron fires") for remark in remarks)
