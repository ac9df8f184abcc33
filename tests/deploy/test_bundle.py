import shutil

import numpy as np
import pytest

from spikeproof.core.errors import FormatError, NotEqualError
from spikeproof.core.files import sha256
from spikeproof.deploy.bundle import SUMS, check_sums, is_bundle, read_bundle, seal
from spikeproof.sim.netx.network import read_netx
from spikeproof.sim.program_file import read_program

FILES = (
    "LICENSE",
    "chip.json",
    "golden.nir",
    "golden.npz",
    "licences.json",
    "manifest.json",
    "model.net",
    "model.nir",
    "program.h5",
)


def test_bundle_holds_its_files_and_no_others(sealed):
    assert sorted(path.name for path in sealed.iterdir()) == sorted((*FILES, SUMS))
    lines = (sealed / SUMS).read_text().splitlines()
    assert lines == [f"{sha256(sealed / name)}  {name}" for name in FILES]


def test_bundle_opens_with_its_program_and_manifest(sealed):
    bundle = read_bundle(sealed)
    assert [p.name for p in bundle.program.populations] == ["fire1", "fire2", "fire3", "last"]
    assert bundle.manifest["model_sha256"] == sha256(bundle.nir)
    assert (bundle.network, bundle.nir) == (sealed / "model.net", sealed / "model.nir")
    assert bundle.metadata["steps"] == 6


def test_untouched_bundle_passes(spoilt):
    assert check_sums(spoilt) == len(FILES)


@pytest.mark.parametrize("name", FILES)
def test_changed_file_is_named(spoilt, name):
    content = bytearray((spoilt / name).read_bytes())
    content[len(content) // 2] ^= 1
    (spoilt / name).write_bytes(content)
    with pytest.raises(NotEqualError, match=f"expected {name} in .* as it was sealed, got other"):
        read_bundle(spoilt)


@pytest.mark.parametrize("seed", range(100))
def test_a_byte_changed_anywhere_is_named(spoilt, seed):
    draw = np.random.default_rng(seed)
    path = spoilt / draw.choice((*FILES, SUMS))
    content = bytearray(path.read_bytes())
    content[draw.integers(len(content))] ^= int(draw.integers(1, 256))
    path.write_bytes(content)
    with pytest.raises((NotEqualError, FormatError), match=path.name):
        read_bundle(spoilt)


@pytest.mark.parametrize("byte", [b"\v", b"\f", b"\r", b"\x1c", b"\0", b" "])
@pytest.mark.parametrize("line", [0, 3, -2])
def test_only_a_newline_ends_a_line_of_sums(spoilt, byte, line):
    lines = (spoilt / SUMS).read_bytes().split(b"\n")
    kept = b"\n".join(lines[: line + 1]), b"\n".join(lines[line + 1 :])
    (spoilt / SUMS).write_bytes(byte.join(kept))
    with pytest.raises(NotEqualError, match=SUMS):
        check_sums(spoilt)


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_named(spoilt, name):
    (spoilt / name).unlink()
    with pytest.raises(NotEqualError, match=f"expected {name} in .*, got no such file"):
        read_bundle(spoilt)


def test_added_file_is_named(spoilt):
    (spoilt / "extra.txt").write_text("more")
    with pytest.raises(NotEqualError, match="expected only sealed files in .*, got extra.txt"):
        read_bundle(spoilt)


def test_added_folder_is_named(spoilt):
    (spoilt / "extra").mkdir()
    with pytest.raises(NotEqualError, match="got extra, which SHA256SUMS does not list"):
        read_bundle(spoilt)


def test_folder_in_place_of_a_file_is_named(spoilt):
    (spoilt / "chip.json").unlink()
    (spoilt / "chip.json").mkdir()
    with pytest.raises(NotEqualError, match="expected chip.json in .* as it was sealed"):
        read_bundle(spoilt)


@pytest.mark.parametrize("line", ["abc  chip.json", "a" * 64 + "  ../chip.json", "a" * 64])
def test_malformed_sums_are_refused(spoilt, line):
    (spoilt / SUMS).write_text(line + "\n")
    with pytest.raises(NotEqualError, match="to hold a hash and a name a line, got 'a"):
        check_sums(spoilt)


def test_sums_without_program_are_refused(spoilt):
    (spoilt / SUMS).write_text(f"{sha256(spoilt / 'chip.json')}  chip.json\n")
    with pytest.raises(FormatError, match="to list program.h5, got none"):
        check_sums(spoilt)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["absent", "no text"])
def test_folder_that_is_no_bundle_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / SUMS).write_bytes(content)
    with pytest.raises(FormatError, match=f"expected a bundle at {tmp_path}, got no readable"):
        read_bundle(tmp_path)


def test_bundle_is_told_by_its_sums(sealed, tmp_path):
    assert is_bundle(sealed)
    assert not is_bundle(tmp_path)
    assert not is_bundle(sealed / SUMS)


def test_sealing_again_accepts_what_was_added(spoilt):
    shutil.copy(spoilt / "chip.json", spoilt / "audit.json")
    seal(spoilt)
    assert check_sums(spoilt) == len(FILES) + 1


def test_program_file_says_the_same_as_the_network(sealed):
    program = read_program(sealed / "program.h5")
    network = read_netx(sealed / "model.net", message_bits=9, payload=(-120, 222)).program
    for ours, theirs in zip(program.populations, network.populations, strict=True):
        assert (ours.shape, ours.vth, ours.dv) == (theirs.shape, theirs.vth, theirs.dv)
        weights = [p.into(n)[0].weight for p, n in ((program, ours.name), (network, theirs.name))]
        assert (weights[0] == weights[1]).all()
