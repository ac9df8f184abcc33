import pytest

from spikeproof.attacks.lattice import Cells
from spikeproof.audit.config import AuditConfig
from spikeproof.audit.remarks import remarks, uneven

RATES = {"float": [{"layer": "conv1", "rate": 0.2}], "hardware": [{"layer": "conv1", "rate": 0.1}]}


def test_an_ordinary_audit_needs_no_remark():
    same = {"training_data_sha256": "ab", "data_sha256": "ab"}
    assert remarks(same, RATES) == remarks({}, RATES) == []


def test_other_data_than_those_of_training_are_remarked():
    (said,) = remarks({"training_data_sha256": "ab", "data_sha256": "cd", "data": "mnist"}, RATES)
    assert said.startswith("The network was trained with other data than mnist")


@pytest.mark.parametrize(("side", "called"), [("float", "float network"), ("hardware", "chip")])
def test_a_layer_that_never_spikes_is_remarked(side, called):
    rates = {**RATES, side: [{"layer": "conv1", "rate": 0.0}, {"layer": "fc", "rate": 0.3}]}
    (said,) = remarks({}, rates)
    assert said.startswith(f"No neuron of conv1 on the {called} fires")


def test_simulated_recordings_are_remarked_on():
    (said,) = remarks({"data": "digits-dvs-simulated", "simulated": True}, RATES)
    assert said.startswith("The recordings of digits-dvs-simulated are simulated")
    assert remarks({"data": "cifar10-dvs"}, RATES) == []


@pytest.mark.parametrize(("share", "which"), [(1.0, "The samples are"), (0.5, "Half of them are")])
def test_pictures_are_not_called_recordings(share, which):
    frames = {"steps": 6, "size": None, "unit": 1, "cap": 255, "binning": "time"}
    said = remarks({"frames": frames, "pictures": share}, RATES)
    assert said[-1].startswith(f"{which} pictures, shown as")
    assert any("recordings of an event camera" in each for each in said) == (share < 1)


def test_cells_at_their_cap_are_remarked():
    (said,) = remarks({"full_cells": 0.25}, RATES)
    assert said.startswith("Of the cells with events, 25.0 % are at the cap")
    assert remarks({"full_cells": 0.0}, RATES) == []


def test_what_reading_left_out_is_remarked():
    (said,) = remarks({"left_out": {"steps back in time": 3, "bytes of a header": 5}}, RATES)
    assert said == (
        "Reading the recordings left out or mended 5 bytes of a header, 3 steps back in time."
    )


@pytest.mark.parametrize(
    ("binning", "suite", "is_said"),
    [("time", "events", False), ("count", "events", True), ("count", "quick", False)],
)
def test_bins_of_equally_many_events_are_remarked(binning, suite, is_said):
    cells = Cells(steps=6)
    config = AuditConfig(suite=suite, cells=cells)
    said = uneven({"frames": {"binning": binning}}, config)
    assert any("which no recording has" in sentence for sentence in said) == is_said
    assert uneven({}, config) == []


def test_a_chip_that_was_trained_further_is_remarked():
    (said,) = remarks({"finetuning": {"epochs": 3}}, RATES)
    assert said.startswith("The chip was trained 3 epochs further, the float network was not")
