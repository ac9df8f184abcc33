import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from spikeproof.core.errors import FormatError
from spikeproof.train.checkpoint import load, save


@pytest.fixture
def saved(tmp_path, make_network):
    """A file with a network."""
    path = tmp_path / "last.safetensors"
    save(path, make_network(theta=0.9, neuron="lif", decay=0.75))
    return path


def rewrite(path, *, header=None, **changes):
    """Writes the file again with some tensors replaced, added or (None) left out."""
    network = json.dumps({"network": header}) if header else header_of(path)
    tensors = load_file(path) | changes
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    save_file(kept, path, metadata={"spikeproof": network})


def header_of(path) -> str:
    size = int.from_bytes(path.read_bytes()[:8], "little")
    return json.loads(path.read_bytes()[8 : 8 + size])["__metadata__"]["spikeproof"]


def test_load_gives_back_network_and_config(saved, make_network, images):
    network, expected = load(saved), make_network(theta=0.9, neuron="lif", decay=0.75)
    assert network.config == expected.config
    assert not network.training
    assert torch.equal(network(images), expected.eval()(images))


def test_load_leaves_random_state_alone(saved):
    before = torch.random.get_rng_state()
    load(saved)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_save_writes_the_same_bytes_again(saved, tmp_path):
    save(tmp_path / "again.safetensors", load(saved))
    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()


def test_load_prefers_the_best_in_a_folder(saved, make_network):
    assert load(saved.parent).config.theta == 0.9
    save(saved.parent / "best.safetensors", make_network(theta=0.5))
    assert load(saved.parent).config.theta == 0.5
    assert load(saved).config.theta == 0.9


def test_truncated_files_are_refused(saved):
    saved.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(FormatError, match=r"expected a safetensors file at .*truncated or foreign"):
        load(saved)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02}q\x00."])
def test_foreign_files_are_refused(saved, content):
    saved.write_bytes(content)
    with pytest.raises(FormatError, match="expected a safetensors file at"):
        load(saved)


def test_safetensors_of_others_are_refused(saved):
    save_file({"a": torch.zeros(3)}, saved)
    with pytest.raises(FormatError, match="expected a safetensors file with a 'spikeproof' header"):
        load(saved)


@pytest.mark.parametrize("header", [{"steps": 8}, {"architecture": 4}, {"colour": 1}])
def test_headers_without_a_lawful_network_are_refused(saved, header):
    rewrite(saved, header=header)
    with pytest.raises(FormatError, match="expected the config of a network in"):
        load(saved)


def test_numbers_that_are_not_finite_are_refused_by_name(saved):
    bad = load_file(saved)["layers.readout.weight"]
    bad[2, 3] = torch.nan
    rewrite(saved, **{"layers.readout.weight": bad})
    with pytest.raises(FormatError, match=r"finite numbers in tensor 'layers\.readout\.weight'"):
        load(saved)


def test_missing_and_extra_tensors_are_refused_by_name(saved):
    rewrite(saved, **{"layers.conv1.bias": None, "extra": torch.zeros(1)})
    with pytest.raises(FormatError, match=r"got missing \['layers.conv1.bias'\].*\['extra'\]"):
        load(saved)


@pytest.mark.parametrize("bias", [torch.zeros(5), torch.zeros(4, dtype=torch.float64)])
def test_tensors_of_another_shape_or_type_are_refused(saved, bias):
    rewrite(saved, **{"layers.conv1.bias": bias})
    with pytest.raises(
        FormatError, match=r"expected tensor 'layers\.conv1\.bias' .* torch\.float32 \[4\], got"
    ):
        load(saved)


def test_absent_checkpoints_are_refused(tmp_path):
    with pytest.raises(FormatError, match="got a folder without either"):
        load(tmp_path)
    with pytest.raises(FormatError, match="got no such path"):
        load(tmp_path / "none.safetensors")
