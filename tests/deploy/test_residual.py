import numpy as np
import pytest
import torch

from spikeproof.core.files import read_json
from spikeproof.deploy import scale
from spikeproof.deploy.bundle import read_bundle
from spikeproof.deploy.executors import load_float, run_float, run_on_lava, run_twin
from spikeproof.deploy.level import level
from spikeproof.deploy.lower import lower
from spikeproof.deploy.parity import check_parity
from spikeproof.deploy.quantize import Precision
from spikeproof.deploy.verification import verify_bundle
from spikeproof.sim.classifier import TwinClassifier
from spikeproof.sim.graph.file import read_nir
from spikeproof.sim.graph.meta import read_meta
from spikeproof.tests.deploy.lavas_clock import assert_twin_equals, on_lavas_clock
from spikeproof.tests.deploy.networks import lattice_images
from spikeproof.tests.deploy.residual import deploy_residual, residual_program, without_relays
from spikeproof.tests.sim.programs import assert_equal_programs

SAMPLES = 2
WHY = r"population 'fire3' fed by \['fire2', 'fire1_relay1'\]; netx has no branches"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return read_bundle(deploy_residual(tmp_path_factory.mktemp("residual")))


@pytest.fixture(scope="module")
def images():
    return lattice_images(SAMPLES, seed=3)


@pytest.fixture(scope="module")
def levelled(payload):
    return on_lavas_clock(residual_program(), payload)


@pytest.fixture(scope="module")
def payload(images):
    return TwinClassifier(residual_program()).payload(torch.from_numpy(images) / 255)


def test_every_population_fires(images):
    spikes = run_twin(residual_program(), images).spikes
    rates = {name: train.mean() for name, train in spikes.items() if name != "last"}
    assert len(rates) == 15
    assert min(rates.values()) > 0.02
    assert max(rates.values()) < 0.8


def test_twin_equals_a_slow_loop_on_lavas_clock_in_every_spike_u_and_v(images, levelled):
    assert_twin_equals(levelled, residual_program(), torch.from_numpy(images) / 255)


def test_without_relays_later_populations_differ_on_lavas_clock(payload, levelled):
    wrong = on_lavas_clock(without_relays(residual_program()), payload)
    differing = {
        name
        for (key, name), spikes in wrong.items()
        if key == "s" and (spikes != levelled["s", name]).any()
    }
    assert differing == {"fire3", "fire4", "fire5", "fire6", "fire7"}
    assert (wrong["v", "last"] != levelled["v", "last"]).any()


def test_levelling_again_puts_back_what_was_removed():
    program = residual_program()
    assert_equal_programs(level(without_relays(program)), program)


def test_float_equals_the_twin_where_quantising_loses_nothing(bundle, images):
    ours = run_twin(bundle.program, images)
    theirs = run_float(load_float(bundle.nir, {}), {"images": images})
    assert len(theirs.spikes) == 7
    for name, spikes in theirs.spikes.items():
        np.testing.assert_array_equal(ours.spikes[name], spikes, err_msg=name)
    np.testing.assert_allclose(ours.logits, theirs.logits, atol=1e-5)


def test_bundle_says_why_it_has_no_net_file(bundle):
    assert not (bundle.path / "model.net").exists()
    assert bundle.manifest["without_net"] == WHY.replace("\\", "")
    report = read_json(bundle.path / "chip.json")
    assert report["remarks"][0] == "no model.net: " + WHY.replace("\\", "")


def test_chip_report_lists_relays_by_name_and_size(bundle):
    report = read_json(bundle.path / "chip.json")
    relays = {row["name"]: row for row in report["populations"] if row["is_relay"]}
    assert {name: row["neurons"] for name, row in relays.items()} == {
        "fire1_relay1": 120,
        "fire3_relay1": 120,
        "fire4_relay1": 54,
        "fire3_relay2": 120,
        "fire5_relay1": 54,
        "fire4_relay2": 54,
        "fire3_relay3": 120,
        "fire5_relay2": 54,
    }
    assert all(
        row["synapses"] == row["neurons"] and row["scale"] is None for row in relays.values()
    )
    assert "fire4_relay2: relay of 54 neurons that levels a shorter path" in report["remarks"]


def test_every_certificate_holds(bundle):
    rows = read_json(bundle.path / "chip.json")["populations"]
    assert all(row["certificate"]["u_never_wraps"] for row in rows)
    assert {row["certificate"]["negative_rail"] for row in rows if row["is_relay"]} == {"absent"}


@pytest.mark.lava
def test_verify_passes(bundle):
    checks = {check.name: check for check in verify_bundle(bundle.path)}
    assert checks["hashes"].detail == "8 files as sealed"
    assert checks["twin"].detail == "3 golden samples, every spike and logit equal"
    assert checks["float"].detail == "3 of 3 golden samples in the same class"


@pytest.mark.lava
def test_twin_equals_lavas_processes_in_every_spike_u_and_v(bundle, images):
    report = check_parity(bundle, (images * 1).astype(np.uint8)[:2])
    assert report.is_equal, report.first
    assert len(report.layers) == 16
    assert report.spikes > 100


@pytest.mark.lava
def test_lava_gives_the_same_logits_and_spikes(bundle, images):
    ours, theirs = run_twin(bundle.program, images), run_on_lava(bundle, images)
    np.testing.assert_array_equal(ours.logits, theirs.logits)
    for name, spikes in ours.spikes.items():
        np.testing.assert_array_equal(spikes, theirs.spikes[name], err_msg=name)


def test_gradient_reaches_the_image_through_relays(images):
    chip = TwinClassifier(residual_program()).using(TwinClassifier.estimators[0])
    x = (torch.from_numpy(images) / 255).requires_grad_()
    chip(x)[:, 0].sum().backward()
    assert x.grad is not None
    assert (x.grad != 0).float().mean() > 0.5


def test_scale_search_knows_layers_and_no_relays(bundle, monkeypatch):
    monkeypatch.setattr(scale, "CANDIDATES", (1.0,))
    network = lower(read_nir(bundle.nir), read_meta(read_nir(bundle.nir)))
    images = torch.from_numpy(lattice_images(2)) / 255
    found = scale.search_scales(
        network,
        images,
        torch.tensor([0, 1]),
        precision=Precision(),
        config=scale.SearchConfig(attack_steps=1, samples=2),
    )
    assert list(found.factors) == [*(f"fire{k}" for k in range(1, 8)), "last"]


def test_spikes_come_in_the_order_of_the_program(bundle, images):
    names = [population.name for population in bundle.program.populations]
    assert list(run_twin(bundle.program, images).spikes) == names
