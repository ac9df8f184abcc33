"""Twin against Lava, with the slow reference in Lava's place: equality, and where it ends."""

import json

import numpy as np
import pytest

from spikeproof.core.axes import lava_to_train, train_to_lava
from spikeproof.core.errors import DataError
from spikeproof.sim import parity
from spikeproof.sim.interface import Encoding
from spikeproof.sim.oracle.request import ProgramRequest
from spikeproof.sim.parity import back_to_back, compare
from spikeproof.tests.reference import reference
from spikeproof.tests.sim.programs import chain, classifier


@pytest.fixture
def payload(rng):
    return rng.integers(-55, 136, (1, 4, 2, 4, 4)).astype(np.int32)


@pytest.fixture
def network(tmp_path):
    """A file that only has to be there."""
    (tmp_path / "network.net").write_bytes(b"")
    return tmp_path / "network.net"


@pytest.fixture(params=["netx", "direct"])
def either(request, network):
    """A `.net` file, or none: processes built from the program."""
    return network if request.param == "netx" else None


@pytest.fixture
def stand_in(monkeypatch):
    """Puts the reference in Lava's place; `spoil` changes what it answers."""

    def use(program, spoil=lambda found: None):
        def run(request, **options):
            if isinstance(request, ProgramRequest):
                assert request.program is program
                x = request.inputs[program.sources[0].name]
            else:
                assert request.input_message_bits == program.sources[0].message_bits
                x = request.x
            x = lava_to_train(x).astype(np.int64)[:, None]
            traces = reference(
                program,
                {program.sources[0].name: x},
                steps=request.steps,
                batch=1,
                interval=request.reset_interval,
                offset=request.reset_offset,
            )
            found = {
                f"{key}{k}": train_to_lava(getattr(trace, key)[:, 0])
                for k, trace in enumerate(traces.values())
                for key in "suv"
            }
            spoil(found)
            return found

        monkeypatch.setattr(parity, "run_lava", run)
        return program

    return use


@pytest.mark.parametrize("kind", ["sum", "membrane", "spikes"])
def test_twin_and_stand_in_are_equal(stand_in, either, payload, kind):
    program = stand_in(classifier(kind))
    report = compare(program, either, payload)
    neurons = sum(p.size for p in program.populations)
    assert report.is_equal
    assert report.first is None
    assert (report.samples, report.steps, report.values) == (4, 6, 3 * 4 * 6 * neurons)
    assert report.spikes > 0


@pytest.mark.lava
def test_twin_equals_lava_on_a_program_that_branches(payload):
    report = compare(classifier(), None, payload, timeout=200.0)
    assert (report.samples, report.steps, report.first) == (4, 6, None)
    assert report.spikes > 50


def test_the_first_difference_is_named(stand_in, network, payload):
    def spoil(found):
        # layer "b" has phase 1: column 2 + 6·sample + step - 1
        found["u1"][3, 2 + 6 * 1 + 4] += 7
        found["u1"][1, 2 + 6 * 2 + 4] += 1
        found["v3"][0, 3] += 1

    report = compare(stand_in(classifier(), spoil), network, payload)
    assert (report.is_equal, report.differences) == (False, 3)
    assert report.by_layer == {"a": 0, "b": 2, "relay": 0, "out": 1}
    first = report.first
    assert first is not None
    assert (first.quantity, first.layer, first.sample, first.step) == ("u", "b", 1, 5)
    assert (first.neuron, first.values[1] - first.values[0]) == ((3,), 7)
    assert str(first).startswith("u of layer 'b', sample 1, step 5, neuron (3,): twin ")


def test_neurons_of_maps_are_named_in_c_h_w(stand_in, network, payload):
    def spoil(found):
        found["s0"][1, 0, 2, 1] ^= 1  # (W, H, C, T)

    first = compare(stand_in(classifier(), spoil), network, payload).first
    assert first is not None
    assert (first.layer, first.sample, first.step, first.neuron) == ("a", 0, 1, (2, 0, 1))


def test_columns_outside_all_windows_do_not_count(stand_in, network, payload):
    def spoil(found):
        found["v3"][:, :3] += 1
        found["v0"][..., -2:] += 1

    assert compare(stand_in(classifier(), spoil), network, payload).is_equal


def test_reports_are_plain_json(stand_in, network, payload):
    report = compare(stand_in(classifier()), network, payload)
    assert json.loads(json.dumps(report.to_json()))["layers"] == ["a", "b", "relay", "out"]


def test_samples_are_held_back_to_back(payload):
    train, clock = back_to_back(classifier(), payload)
    assert train.shape == (4, 4, 2, clock.steps)
    assert (clock.steps, clock.reset_interval, clock.reset_offset) == (4 * 6 + 1 + 2, 6, 1)
    columns = lava_to_train(train)
    np.testing.assert_array_equal(columns[6:12], np.repeat(payload[:, 1], 6, axis=0))
    assert not columns[24:].any()


def test_frames_of_samples_follow_each_other(rng):
    frames = rng.integers(0, 136, (6, 4, 2, 4, 4)).astype(np.int32)
    encoding = Encoding(offset=(0, 0), steps=6, kind="frames")
    train, clock = back_to_back(classifier(encoding=encoding), frames)
    assert (train.shape[-1], clock.reset_interval) == (clock.steps, 6)
    columns = lava_to_train(train)
    for sample in range(4):
        np.testing.assert_array_equal(columns[6 * sample : 6 * sample + 6], frames[:, sample])


def test_twin_and_stand_in_are_equal_on_frames(stand_in, either, rng):
    frames = rng.integers(-55, 136, (6, 4, 2, 4, 4)).astype(np.int32)
    encoding = Encoding(offset=(120, 55), steps=6, kind="frames")
    report = compare(stand_in(classifier(encoding=encoding)), either, frames)
    assert report.is_equal
    assert report.spikes > 0


def test_programs_without_an_encoding_are_refused(network, payload):
    with pytest.raises(DataError, match="expected a program with an encoding, got a bare network"):
        compare(chain(), network, payload)
