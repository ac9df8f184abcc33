"""What is missing is named, with what to install for it."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from spikeproof.cli.abilities import PACKAGES, abilities

MODULES = [(name, *pair) for name, _, modules in PACKAGES for pair in modules.items()]


def ability(name):
    return next(each for each in abilities() if each.name == name)


@pytest.mark.parametrize(("name", "module", "package"), MODULES)
def test_doctor_says_what_to_install_for_a_missing_package(
    spikeproof, monkeypatch, name, module, package
):
    monkeypatch.setitem(sys.modules, module, None)
    found = re.search(rf"^{name} +not usable: (.*)$", spikeproof("doctor").out, re.MULTILINE)
    assert found is not None
    assert f"{package} not installed; run pip install {package} (for " in found.group(1)


@pytest.mark.parametrize(("name", "module", "package"), MODULES)
def test_what_is_there_is_usable(monkeypatch, name, module, package):
    monkeypatch.setattr("spikeproof.cli.abilities.find_spec", lambda module: module)
    assert ability(name).line == "usable"


@pytest.mark.parametrize(("name", "module", "package"), MODULES)
def test_every_package_is_one_of_an_extra(name, module, package):
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    assert any(re.match(rf"{package}\b", line) for lines in extras.values() for line in lines)


@pytest.mark.parametrize(
    ("name", "variable", "package"),
    [("C compiler", "CC", "gcc"), ("C++ compiler", "CXX", "g++")],
)
def test_compilers_are_looked_for_on_the_path(monkeypatch, tmp_path, name, variable, package):
    monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    line = ability(name).line
    assert line.startswith(f"not usable: none of ${variable}, ")
    assert f"apt-get install {package}, " in line


@pytest.mark.parametrize(("cuda", "said"), [(None, "torch is a CPU build"), ("13.0", "no GPU")])
def test_a_missing_gpu_is_told_from_a_build_without(monkeypatch, cuda, said):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    assert said in ability("CUDA").reason
    assert "pip install --force-reinstall torch" in ability("CUDA").line
    assert "install a CUDA build of torch" in ability("Triton").line


@pytest.mark.usefixtures("no_lava")
def test_json_holds_every_ability_and_what_brings_it(spikeproof):
    found = {each["name"]: each for each in spikeproof("doctor", "--json").json["abilities"]}
    assert {name for name, _, _ in PACKAGES} < set(found)
    assert found["Lava"]["available"] is False
    assert "lava-nc==0.10.0" in found["Lava"]["install"]
    assert all(each["install"] and each["serves"] for each in found.values())
