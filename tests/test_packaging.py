"""The wheel holds the package and nothing else, and the packages build on each other downwards."""

import ast
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = {
    "core": 1,
    "sim": 2,
    "attacks": 2,
    "datasets": 2,
    "train": 3,
    "export": 4,
    "deploy": 5,
    "analysis": 6,
    "audit": 6,
    "reproduce": 7,
    "cli": 8,
}
TOP = {"__init__.py", "__main__.py", "py.typed", "LICENSE"}
# Lava is no dependency on purpose (requirements-lava.txt), it is used where it is installed.
NOT_DECLARED = {"lava-nc", "lava-dl"}
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:root|work|home|Users|opt|mnt|tmp)/\w|\b[A-Z]:\\\w")


def folders() -> list[Path]:
    """The root's folders that Python sees as packages."""
    return sorted(found.parent for found in ROOT.glob("*/__init__.py"))


def files(folder: Path) -> list[Path]:
    return sorted(
        found
        for found in folder.rglob("*")
        if found.is_file() and "__pycache__" not in found.parts and found.suffix != ".pyc"
    )


def modules() -> list[Path]:
    return [path for folder in folders() for path in files(folder) if path.suffix == ".py"]


def imports(path: Path) -> list[ast.Import | ast.ImportFrom]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


def relative_targets(path: Path, node: ast.ImportFrom) -> list[str]:
    """What a relative import reaches, as paths below the root: `["sim.twin"]`."""
    package = path.relative_to(ROOT).parent.parts
    base = package[: len(package) - node.level + 1]
    if node.module:
        return [".".join((*base, node.module))]
    return [".".join((*base, alias.name)) for alias in node.names]


def everywhere() -> list[Path]:
    """All modules, those beside the folders included."""
    return [*modules(), *(ROOT / name for name in sorted(TOP) if name.endswith(".py"))]


def absolute_names(path: Path) -> set[str]:
    """Top-level names of everything that a module imports absolutely."""
    names: set[str] = set()
    for node in imports(path):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


def declared() -> set[str]:
    """Normalised names of all distributions that pyproject.toml asks for, extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(line for extra in extras.values() for line in extra)]
    return {re.split(r"[\[<>=!~; ]", line)[0].lower().replace("_", "-") for line in wanted}


@dataclass(frozen=True, kw_only=True)
class Built:
    """Distributions: of a copy of the checkout, so that no stale `build/` gets into them.

    Args:
        source: The source distribution.
        wheel: Built from it, as `make dist` does.
        direct: A wheel of the checkout itself, as `pip install .` builds it.
    """

    source: Path
    wheel: Path
    direct: Path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """All distributions, built without a package index."""
    copy = tmp_path_factory.mktemp("wheel") / "copy"
    skipped = shutil.ignore_patterns(".*", "build", "dist", "runs", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, copy, symlinks=True, ignore=skipped)
    for options in (("--outdir", "dist"), ("--outdir", "direct", "--wheel")):
        command = [sys.executable, "-m", "build", "--no-isolation", *options, "."]
        offline = {**os.environ, "PIP_NO_INDEX": "1"}
        done = subprocess.run(
            command, cwd=copy, env=offline, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        shutil.rmtree(copy / "build", ignore_errors=True)
    (source,), (wheel,) = (copy / "dist").glob("*.tar.gz"), (copy / "dist").glob("*.whl")
    (direct,) = (copy / "direct").glob("*.whl")
    return Built(source=source, wheel=wheel, direct=direct)


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def wheel(built: Built) -> set[str]:
    """Names in the wheel that is built from the source distribution."""
    return names_in(built.wheel)


def test_wheel_holds_every_module_and_data_file(wheel):
    expected = {
        (PurePosixPath("spikeproof") / path.relative_to(ROOT).as_posix()).as_posix()
        for folder in folders()
        for path in files(folder)
    }
    missing = (expected | {f"spikeproof/{name}" for name in TOP}) - wheel
    assert not missing, "add them to packages or package-data in pyproject.toml"


def test_wheel_holds_nothing_but_the_package(wheel):
    allowed = {*TOP, *(folder.name for folder in folders())}
    strangers = {
        name
        for name in wheel
        if ".dist-info/" not in name and PurePosixPath(name).parts[1] not in allowed
    }
    assert not strangers
    assert not {name for name in wheel if "tests/" in name or "benchmarks/" in name}


def test_wheel_holds_the_licence_and_the_command(wheel):
    names = {name.partition(".dist-info/")[2] for name in wheel}
    assert {"licenses/LICENSE", "entry_points.txt"} <= names


def test_source_distribution_builds_the_checkouts_wheel(built, wheel):
    assert wheel == names_in(built.direct)


def test_source_distribution_holds_no_tests(built):
    with tarfile.open(built.source) as archive:
        names = {PurePosixPath(name).parts[1:2] for name in archive.getnames()}
    assert ("sim",) in names
    assert not {("tests",), ("docs",), ("benchmarks",)} & names


def without_lava(folder: Path, wheel: Path) -> Path:
    """The scripts of a new environment that holds a wheel, in pinned versions, and nothing else."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pinned = os.environ | {"PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
    install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", str(wheel)]
    subprocess.run(install, env=pinned, cwd=folder, check=True)
    return folder / "bin"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_demo_runs_from_the_wheel_in_an_empty_folder(built, tmp_path):
    scripts, empty = without_lava(tmp_path / "environment", built.wheel), tmp_path / "empty"
    empty.mkdir()
    done = subprocess.run(
        [str(scripts / "spikeproof"), "demo"], cwd=empty, capture_output=True, text=True, check=True
    )
    rows = [line.split("  ")[0] for line in done.stdout.splitlines()]
    assert rows[2:5] == ["vanilla", "AT", "SR*"]
    assert done.stdout.count("parity NOT checked: Lava is not installed") == 3
    found = json.loads((empty / "runs" / "demo" / "demo.json").read_text(encoding="utf-8"))
    change = {(c["method"], c["than"], c["cell"]): c["low"] for c in found["comparison"]}
    assert change["AT", "vanilla", "hardware_on_hardware"] > 0
    assert all((empty / f"runs/demo/{name}/report.html").exists() for name in found["networks"])
    c99 = ["deploy", "runs/demo/at/model.nir", "--out", "chip", "--c99"]
    subprocess.run([str(scripts / "spikeproof"), *c99], cwd=empty, check=True)
    assert (empty / "chip" / "network.c").exists()


def test_every_folder_has_a_floor():
    assert {folder.name for folder in folders()} == set(FLOORS)


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_point_down(path):
    own = path.relative_to(ROOT).parts[0]
    for node in imports(path):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        for target in relative_targets(path, node):
            head = target.partition(".")[0]
            lower = FLOORS.get(head, 0) < FLOORS[own]
            assert head == own or lower, f"{own} must not import {target}, line {node.lineno}"


@pytest.mark.parametrize("path", everywhere(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_package_code_imports_itself_relatively(path):
    assert not absolute_names(path) & {"spikeproof", "tests", "benchmarks", *FLOORS}


def test_every_third_party_import_is_declared():
    distributions = importlib.metadata.packages_distributions()
    undeclared = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in everywhere()
        for name in absolute_names(path) - sys.stdlib_module_names
        if not {found.lower().replace("_", "-") for found in distributions.get(name, [name])}
        & (declared() | NOT_DECLARED)
    }
    assert not undeclared


def test_relative_targets_reads_every_form():
    path = ROOT / "audit" / "report" / "page.py"
    lines = [
        "from . import a",
        "from .. import b",
        "from ...sim import c",
        "from ...core.x import d",
    ]
    nodes = [node for line in lines for node in ast.parse(line).body]
    found = [relative_targets(path, node) for node in nodes if isinstance(node, ast.ImportFrom)]
    assert found == [["audit.report.a"], ["audit.b"], ["sim"], ["core.x"]]


def test_no_python_file_names_a_place_on_one_machine():
    python = [*everywhere(), *files(ROOT / "tests"), *files(ROOT / "benchmarks")]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in python
        if path.suffix == ".py"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert not found


@pytest.mark.parametrize("line", ["x = '/" + "home/me/data'", '"/' + 'work/a"', "C:" + r"\data"])
def test_machine_paths_are_recognised(line):
    assert MACHINE_PATH.search(line)


def test_checkers_find_the_package_through_its_link():
    assert (ROOT / ".typing" / "spikeproof" / "core" / "errors.py").is_file()
