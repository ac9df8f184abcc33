import json

import numpy as np
import pytest

from spikeproof.deploy.certify import certify
from spikeproof.deploy.chip import chip_report
from spikeproof.deploy.chip_file import chip_named
from spikeproof.deploy.fit import fit
from spikeproof.sim.program import Population, Program, Source, Synapse


def program(**fields):
    """A strided convolution of 3 channels and a dense layer."""
    first = Synapse(
        source="x", target="a", weight=np.arange(-8, 10, dtype=np.int32).reshape(3, 2, 1, 3)
    )
    last = Synapse(source="a", target="b", weight=np.full((2, 24), -5, dtype=np.int32))
    populations = (
        Population(**{"name": "a", "shape": (3, 4, 2), "vth": 7} | fields),
        Population(name="b", shape=(2,), vth=1, phase=1),
    )
    source = Source(name="x", shape=(2, 4, 4), low=-9, high=9, message_bits=9)
    return Program(
        sources=(source,), populations=populations, synapses=(first, last), outputs=("b",)
    )


def report_of(given, rails=None, steps=2, silent=()):
    certificates = certify(given, steps=steps)
    scales = {"a": 2.0, "b": 3.0}
    chip = chip_named("loihi2")
    return chip_report(
        given,
        chip,
        scales=scales,
        certificates=certificates,
        fitted=fit(given, chip),
        rails=rails,
        silent=silent,
    )


def rows(report):
    found = report["populations"]
    assert isinstance(found, list)
    return found


def test_report_counts_neurons_weights_and_synapses():
    report = report_of(program())
    first, last = rows(report)
    assert report["neurons"] == 26
    assert (first["neurons"], first["weights"], first["synapses"]) == (24, 18, 24 * 6)
    assert (last["neurons"], last["weights"], last["synapses"]) == (2, 48, 48)
    assert (first["weight_peak"], first["scale"], last["scale"]) == (9, 2.0, 3.0)


def test_report_lists_rails_that_were_seen():
    assert [row["negative_rail_seen"] for row in rows(report_of(program()))] == [None, None]
    seen = rows(report_of(program(), rails={"a": 4, "b": 0}))
    assert [row["negative_rail_seen"] for row in seen] == [4, 0]


def test_report_names_populations_that_never_fire():
    remarks = report_of(program(), silent=["a"])["remarks"]
    assert isinstance(remarks, list)
    assert len(remarks) == 1
    assert remarks[0].startswith("a: no neuron fires on any golden image")


def test_report_of_a_harmless_program_has_no_remarks():
    assert report_of(program())["remarks"] == []


@pytest.mark.parametrize(("peak", "count"), [(4095, 0), (4096, 1)])
def test_bias_beyond_the_chips_field_is_remarked(peak, count):
    bias = np.array([0, -peak, 3], dtype=np.int32).reshape(3, 1, 1)
    remarks = report_of(program(bias=bias))["remarks"]
    assert isinstance(remarks, list)
    assert (
        remarks == ["a: bias mantissa 4096 is beyond the 13 bits of loihi2 (Lava takes 16)"] * count
    )


def test_possible_negative_rail_is_remarked():
    remarks = report_of(program(), steps=10**4)["remarks"]
    assert isinstance(remarks, list)
    assert remarks[0].startswith("a: v may be clipped at its negative rail (bound -")
    assert "seen" not in remarks[0]


def test_relay_is_remarked():
    remark = "a: relay of 24 neurons that levels a shorter path"
    assert report_of(program(is_relay=True))["remarks"] == [remark]


def test_report_is_plain_data():
    json.dumps(report_of(program(), rails={"a": 0, "b": 0}), allow_nan=False)
