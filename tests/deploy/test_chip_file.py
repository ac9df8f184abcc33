import shutil

import pytest

from spikeproof.core.errors import ConfigError
from spikeproof.deploy.chip_file import FIGURES, chip_named, known_chips, read_chip


@pytest.mark.parametrize("name", ["loihi1", "loihi2"])
def test_every_figure_of_a_chip_names_its_source(name):
    chip = chip_named(name)
    assert chip.name == name
    assert set(chip.sources) == set(FIGURES)
    assert all(len(source) > 8 for source in chip.sources.values())


def test_loihi_1_is_as_published():
    chip = chip_named("loihi1")
    assert (chip.cores, chip.neurons_per_core, chip.memory_bits_per_core) == (128, 1024, 1 << 20)
    assert (chip.input_axons_per_core, chip.payload_bits) == (4096, 0)
    assert chip.costs["synaptic_operation"].energy == (23.6, 23.6)


def test_figures_that_are_not_published_have_no_value():
    chip = chip_named("loihi2")
    assert chip.output_axons_per_core is None
    assert chip.sources["output_axons_per_core"] == "not published"


def test_a_chip_of_ones_own_is_read(tmp_path):
    path = tmp_path / "mine.toml"
    stated = known_chips()["loihi2"].read_text().replace('name = "loihi2"', 'name = "mine"')
    path.write_text(stated.replace("value = 8192", "value = 7"))
    assert (chip_named(str(path)).name, chip_named(str(path)).neurons_per_core) == ("mine", 7)


def test_an_unknown_chip_is_refused():
    with pytest.raises(ConfigError, match="a chip among loihi1, loihi2, got 'truenorth'; .*toml"):
        chip_named("truenorth")


CHANGES = {
    "no cores": ("[figures.cores]", "[figures.chips]"),
    "an unknown 'other'": ("[figures.cores]", "[other.cores]"),
    "an unknown 'kores'": ("[figures.cores]", "[figures.kores]\nsource='a'\n[figures.cores]"),
    "no source": ('source = "not published"', "value = 3"),
    "got -1 and False": ("value = 8192", "value = -1"),
    "got 1.5 and False": ("value = 8192", "value = 1.5"),
    "got True and False": ("value = 8192", "value = true"),
    "got 64 and 'yes'": ("assumed = true", 'assumed = "yes"'),
    "got ''": ('source = "not published"', 'source = ""'),
    "TOML in": ("[figures.cores]", "[figures.cores"),
    "an unknown 'hop'": ("[figures.cores]", '[costs.hop]\nsource = "a"\n[figures.cores]'),
    r"got \[2, 1\]": (
        "[figures.cores]",
        '[costs.message]\nenergy = [2, 1]\ntime = [0, 1]\nsource = "a"\n[figures.cores]',
    ),
}


@pytest.mark.parametrize("message", CHANGES)
def test_files_that_describe_no_chip_are_refused(tmp_path, message):
    path = tmp_path / "mine.toml"
    old, new = CHANGES[message]
    stated = known_chips()["loihi2"].read_text()
    assert old in stated
    path.write_text(stated.replace(old, new, 1))
    with pytest.raises(ConfigError, match=rf"^expected .*{message}.*; "):
        read_chip(path)


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="chip's .toml file at .*mine.toml, got none"):
        chip_named(str(tmp_path / "mine.toml"))


def test_chips_lie_in_the_package(tmp_path):
    for name, path in known_chips().items():
        assert chip_named(str(shutil.copy(path, tmp_path / f"{name}.toml"))) == chip_named(name)
