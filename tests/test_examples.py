"""The examples run where only what they name is installed."""

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest

from spikeproof.deploy.deployment import DeployConfig, run
from spikeproof.sim.graph.file import write_nir
from spikeproof.tests.deploy.networks import lattice_graph

EXAMPLE = Path(__file__).parents[1] / "examples" / "run_integer_onnx.py"
FOREIGN = ["torch", "onnx", "spikeproof", "nir", "h5py", "scipy", "norse"]


def needed(name, found):
    """A distribution and what it requires, without extras."""
    try:
        found.setdefault(name, distribution(name))
    except PackageNotFoundError:
        return found
    for line in found[name].requires or ():
        other = re.split(r"[\s\[<>=!~;(]", line)[0]
        if "extra" not in line and other not in found:
            needed(other, found)
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """An environment for `python -S` that holds numpy, onnxruntime and what they require."""
    folder = tmp_path_factory.mktemp("site")
    packages = needed("onnxruntime", needed("numpy", {}))
    for package in packages.values():
        for top in {Path(path).parts[0] for path in package.files or () if ".." not in str(path)}:
            link = folder / top
            if not link.exists():
                link.symlink_to(Path(str(package.locate_file(top))).resolve())
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deployed")
    write_nir(folder / "model.nir", lattice_graph())
    run(DeployConfig(golden=3, onnx="integer"), folder / "model.nir", folder / "bundle")
    return folder / "bundle"


def python(alone, *words):
    command = [sys.executable, "-S", *map(str, words)]
    return subprocess.run(command, env=alone, capture_output=True, text=True, check=False)


def test_environment_holds_nothing_else(alone):
    code = f"import importlib.util as u; print([n for n in {FOREIGN} if u.find_spec(n)])"
    assert python(alone, "-c", code).stdout == "[]\n"


def test_integers_run_with_numpy_and_onnxruntime_alone(alone, bundle):
    done = python(alone, EXAMPLE, bundle)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "integers of Lava fixed-point model, 6 steps"
    assert lines[-1] == "0 of 3 samples differ from the simulated chip"


def test_example_notices_another_logit(alone, bundle, tmp_path):
    arrays = dict(np.load(bundle / "golden.npz"))
    arrays["logits"][1, 2] += 1e-6
    np.savez(tmp_path / "golden.npz", **arrays)
    (tmp_path / "model.onnx").write_bytes((bundle / "model.onnx").read_bytes())
    done = python(alone, EXAMPLE, tmp_path)
    assert (done.returncode, "sample 1: class" in done.stdout) == (1, True)
    assert "1 of 3 samples differ" in done.stdout


def test_example_has_at_most_forty_lines():
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 40
