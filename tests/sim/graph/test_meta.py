from dataclasses import replace

import nir
import numpy as np
import pytest
import torch

from spikeproof.core.errors import ConfigError, DataError, FormatError
from spikeproof.sim.graph.meta import InputLattice, NirMeta, read_meta

META = NirMeta(
    dt=0.5,
    steps=7,
    encoding="frames",
    readout="spikes",
    reset="zero",
    input_lattice=InputLattice(scale=15, offset=(3, 200)),
    classes=("cat", "Ōchi", 'a "b"'),
)


def graph_with(metadata):
    return nir.NIRGraph({}, [], metadata=metadata, type_check=False)


def test_metadata_reads_back_as_written():
    assert read_meta(graph_with(META.to_metadata())) == META


def test_metadata_names_the_integration_where_it_is_not_euler():
    meta = replace(META, integration="exponential", reset="subtract", readout="last")
    assert read_meta(graph_with(meta.to_metadata())) == meta
    assert "integration" not in META.to_metadata()


def test_metadata_reads_back_without_a_lattice_or_classes():
    meta = replace(META, input_lattice=None, classes=())
    assert read_meta(graph_with(meta.to_metadata())) == meta


def test_missing_metadata_is_listed():
    with pytest.raises(FormatError, match="got no dt, reset; give --dt --reset"):
        read_meta(graph_with({"steps": 4, "encoding": "direct", "readout": "membrane"}))


def test_given_values_stand_in_for_the_metadata():
    given = {"dt": 0.5, "steps": 4, "encoding": "direct", "readout": "membrane", "reset": "zero"}
    assert read_meta(graph_with({}), **given) == NirMeta(**given)


def test_given_values_may_repeat_the_metadata_and_none_says_nothing():
    graph = graph_with(META.to_metadata())
    assert read_meta(graph, steps=META.steps, dt=None) == META


def test_given_values_that_contradict_the_metadata_are_refused():
    graph = graph_with(META.to_metadata())
    with pytest.raises(ConfigError, match="as the file says, got 97; leave --steps out"):
        read_meta(graph, steps=97)


def test_metadata_of_other_tools_is_left_alone():
    graph = graph_with(META.to_metadata() | {"author": "someone"})
    assert read_meta(graph) == META


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("steps", 2.5, "'steps'"),
        ("steps", 10**18, "at most 1048576 steps"),
        ("dt", "fast", "'dt'"),
        ("dt", float("nan"), "dt > 0"),
        ("reset", "soft", "reset to be one of zero, value, subtract, got 'soft'"),
        ("integration", "trapezoid", "integration to be one of euler, exponential"),
        ("encoding", "poisson", "encoding to be one of direct, frames"),
        ("readout", "first", "readout to be one of"),
        ("threshold", "loose", "threshold to be one of strict"),
        ("input_lattice", "255", "'input_lattice'"),
        ("input_lattice", '{"scale": 255}', "'input_lattice'"),
        ("input_lattice", '{"scale": 0, "offset": []}', "scale >= 1"),
        ("classes", '{"a": 1}', "'classes'"),
        ("classes", "[1, 2]", "'classes'"),
    ],
)
def test_malformed_metadata_is_a_format_error(field, value, message):
    with pytest.raises(FormatError, match=message):
        read_meta(graph_with(META.to_metadata() | {field: value}))


@pytest.mark.parametrize("given", [{"steps": 0}, {"dt": -1.0}, {"reset": "none"}])
def test_given_values_out_of_range_are_refused(given):
    with pytest.raises(ConfigError, match="expected"):
        read_meta(graph_with(META.to_metadata()), **given)


def test_unknown_given_values_are_refused():
    with pytest.raises(ConfigError, match="got \\['dtt'\\]"):
        read_meta(graph_with(META.to_metadata()), dtt=1.0)


def test_payload_of_every_level_is_whole():
    lattice = replace(META, input_lattice=InputLattice(offset=(33,)))
    levels = torch.arange(256, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    expected = levels.double() - 33
    assert torch.equal(lattice.payload(levels), expected)
    for dtype in (torch.float32, torch.float64):
        assert torch.equal(lattice.payload(levels.to(dtype) / 255), expected.to(dtype))


def test_payload_subtracts_one_offset_per_channel():
    x = torch.ones(4, 2, 3, 3, dtype=torch.float64)
    payload = META.payload(x)
    assert payload[:, 0].unique().tolist() == [12.0]
    assert payload[:, 1].unique().tolist() == [-185.0]


def test_payload_rounds_forward_and_not_backward():
    x = torch.tensor([[0.013]], requires_grad=True)
    payload = InputLattice(offset=()).payload(x)
    payload.sum().backward()
    assert payload.item() == 3.0
    assert x.grad is not None
    assert x.grad.item() == 255.0


def test_payload_without_lattice_is_the_image():
    x = torch.tensor(np.linspace(0, 1, 8)).reshape(2, 4)
    assert torch.equal(replace(META, input_lattice=None).payload(x), x)


def test_payload_refuses_other_channels():
    with pytest.raises(DataError, match="of 2 channels, got \\[1, 3, 4, 4\\]"):
        META.payload(torch.zeros(1, 3, 4, 4))
