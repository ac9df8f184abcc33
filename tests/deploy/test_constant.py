"""Large biases on a constant input channel: the same computation, in a narrower field."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from spikeproof.audit.certified import certify_inputs
from spikeproof.core.errors import FormatError
from spikeproof.deploy.bundle import read_bundle
from spikeproof.deploy.constant import carry_biases
from spikeproof.deploy.deployment import DeployConfig, run
from spikeproof.deploy.parity import check_parity, parity_images
from spikeproof.sim.classifier import TwinClassifier
from spikeproof.sim.graph.file import write_nir
from spikeproof.sim.interface import Encoding
from spikeproof.tests.deploy.networks import dense_graph, lattice_graph, lattice_images, linear
from spikeproof.tests.deploy.wide_biases import BITS, twice_reached, wide_biases, with_first


def run_of(program, images):
    run = TwinClassifier(program).run(torch.from_numpy(images).float() / 255)
    assert run.reading is not None
    return run.spikes, run.reading


def constant_of(program):
    return 0 if program.encoding is None else program.encoding.constant


def images_for(program):
    return np.random.default_rng(1).integers(0, 256, (40, *program.sample_shape), dtype=np.uint8)


@pytest.mark.parametrize(
    "program",
    [
        wide_biases(stride=(2, 2)),
        wide_biases(stride=(3, 3), padding=(1, 1)),
        wide_biases(stride=(1, 1), dilation=(2, 2)),
        wide_biases(stride=(2, 2), padding=(1, 1), dilation=(2, 2)),
        twice_reached(),
    ],
    ids=["stride", "padding", "dilation", "all three", "two synapses"],
)
def test_carried_biases_change_nothing(program):
    carried = carry_biases(program, bits=BITS)
    ours, theirs = (run_of(each, images_for(program)) for each in (carried, program))
    assert constant_of(carried) == 200
    for name, spikes in theirs[0].items():
        assert torch.equal(ours[0][name], spikes)
    assert torch.equal(ours[1], theirs[1])
    assert theirs[1].std() > 0


def test_carried_biases_fit_their_field_and_weights_stay_in_theirs():
    program = carry_biases(wide_biases(), bits=BITS)
    before, after = wide_biases().synapses[0].weight, program.synapses[0].weight
    assert np.abs(np.asarray(program.population("a").bias)).max() < 1 << (BITS - 1)
    assert np.abs(after).max() == np.abs(before).max()
    np.testing.assert_array_equal(after[:, :2], before)


def test_gradients_pass_by_the_constant():
    program = wide_biases()
    found = []
    for each in (program, carry_biases(program, bits=BITS)):
        x = (torch.from_numpy(images_for(program)).float() / 255).requires_grad_()
        TwinClassifier(each, using="triangle")(x).square().sum().backward()
        found.append(x.grad)
    assert found[0].abs().sum() > 0
    torch.testing.assert_close(found[1], found[0])


def test_certified_inputs_are_the_same():
    program = wide_biases()
    images, labels = images_for(program), np.zeros(40, np.int64)
    ours, theirs = (
        certify_inputs(each, images, labels, epsilons=(2 / 255,))[0].margin
        for each in (carry_biases(program, bits=BITS), program)
    )
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("bits", [None, 16, 0])
def test_biases_stay_where_their_field_holds_them_is_unknown_or_absent(bits):
    program = wide_biases()
    assert carry_biases(program, bits=bits) is program


def binary(program):
    source = replace(program.sources[0], low=0, high=1, message_bits=0)
    return replace(program, sources=(source,), encoding=replace(program.encoding, offset=(0, 0)))


@pytest.mark.parametrize(
    "program",
    [
        wide_biases(biases=(9000, 0, 0)),
        wide_biases(padding=(3, 3), stride=(8, 8)),
        binary(wide_biases()),
        with_first(wide_biases(), du=1024),
    ],
    ids=["too large", "padding everywhere", "binary", "lasting current"],
)
def test_what_no_constant_carries_exactly_stays(program):
    assert carry_biases(program, bits=BITS) is program


def test_constant_beyond_the_payload_is_refused():
    program = wide_biases()
    encoding = Encoding(offset=(120,), steps=6, constant=201)
    with pytest.raises(FormatError, match=r"constant channel of 'image' .* within -120..200"):
        replace(program, encoding=encoding)


def wide_graph(first):
    """A graph whose first biases need more than 13 bits of the chip."""
    graph = lattice_graph() if first == "conv1" else dense_graph()
    node = linear(graph, first)
    if first == "dense":
        node.weight[:, 4:-1] = 0.0  # leaves u the room that the constant needs
    node.bias = node.bias + np.resize([6000.0, -5000.0, 7.0], len(node.bias)) / SHARES[first]
    return graph


SHARES = {"conv1": 16.0, "dense": 6.35}
"""S of each graph."""


@pytest.mark.parametrize("first", SHARES)
def test_network_with_wide_biases_fits_the_chip(tmp_path, first):
    write_nir(tmp_path / "model.nir", wide_graph(first))
    reports = {
        channel: run(
            DeployConfig(golden=2, constant_channel=channel),
            tmp_path / "model.nir",
            tmp_path / str(channel),
        )
        for channel in (True, False)
    }
    fits: dict[bool, Any] = {channel: report["fit"] for channel, report in reports.items()}
    assert fits[True]["fits"]
    assert [m["what"].split()[0] for m in fits[False]["misfits"]] == ["bias"]
    assert "of constant payload" in str(reports[True]["remarks"])
    ours, theirs = (read_bundle(tmp_path / name).program for name in ("True", "False"))
    images = lattice_images(20)
    assert torch.equal(run_of(ours, images)[1], run_of(theirs, images)[1])


@pytest.mark.lava
@pytest.mark.parametrize("first", SHARES)
def test_network_with_wide_biases_equals_lava(tmp_path, first):
    write_nir(tmp_path / "model.nir", wide_graph(first))
    run(DeployConfig(golden=3), tmp_path / "model.nir", tmp_path / "bundle")
    bundle = read_bundle(tmp_path / "bundle")
    assert bundle.network is not None
    assert constant_of(bundle.program) > 0
    report = check_parity(bundle, parity_images(bundle, samples=4, seed=0), timeout=200.0)
    assert (report.differences, report.first) == (0, None)
    assert report.spikes > 20
