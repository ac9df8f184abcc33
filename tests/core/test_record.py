import importlib.metadata
import platform

import pytest

import spikeproof
from spikeproof.core import record
from spikeproof.core.files import read_json


@pytest.fixture(autouse=True)
def fresh():
    record._versions.cache_clear()
    yield
    record._versions.cache_clear()


def test_versions_name_python_and_spikeproof():
    found = record.versions()
    assert found["python"] == platform.python_version()
    assert found["spikeproof"] == spikeproof.__version__


def test_versions_are_those_installed():
    assert record.versions()["numpy"] == importlib.metadata.version("numpy")


def test_versions_leave_absent_packages_out(monkeypatch):
    monkeypatch.setattr(record, "PACKAGES", ("numpy", "no-such-distribution"))
    assert "no-such-distribution" not in record.versions()


@pytest.mark.parametrize(("status", "commit"), [("", "abc"), (" M sim/twin.py", "abc-dirty")])
def test_versions_mark_a_changed_checkout(monkeypatch, status, commit):
    answers = {"rev-parse": "abc", "status": status}
    monkeypatch.setattr(record, "_git", lambda command, *rest: answers[command])
    assert record.versions()["commit"] == commit


def test_versions_have_no_commit_outside_a_checkout(monkeypatch, tmp_path):
    monkeypatch.setattr(record, "__file__", str(tmp_path / "core" / "record.py"))
    assert "commit" not in record.versions()


def test_versions_have_no_commit_without_git(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert "commit" not in record.versions()


def test_a_record_stands_beside_its_file(tmp_path):
    options = {"data": tmp_path / "in.npz", "samples": 4, "dt": None}
    path = record.write_record(tmp_path / "m.nir", command="export", seed=3, options=options)
    assert path == tmp_path / "m.nir.config.json"
    assert read_json(path) == {
        "command": "export",
        "output": "m.nir",
        "seed": 3,
        "options": {"data": str(tmp_path / "in.npz"), "samples": 4, "dt": None},
        "versions": record.versions(),
    }


def test_version_is_that_of_the_package_metadata():
    assert spikeproof.__version__ == importlib.metadata.version("spikeproof")
