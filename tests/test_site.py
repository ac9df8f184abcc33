"""What the site shows of results is what the records hold."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"


def script(path):
    """A module that belongs to no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def index():
    return script(ROOT / "docs" / "hooks" / "results_index.py")


def test_picture_is_the_record_drawn():
    demo = script(ROOT / "benchmarks" / "demo_chart.py")
    record = json.loads(demo.RECORD.read_text(encoding="utf-8"))
    assert demo.CHART.read_text(encoding="utf-8") == demo.chart(record)


def test_list_of_results_names_every_record(index):
    shown = index.records(RESULTS)
    for path in RESULTS.iterdir():
        of_a_page = path.stem == "readers" or path.name == "index.md"
        assert of_a_page or f"]({path.name})" in shown, path.name


def test_list_of_results_holds_a_records_command_table_and_commit(index):
    shown = index.of_page(RESULTS / "methods_fashion.md")
    assert "spikeproof analyse methods fashion-vanilla-small" in shown
    assert "| fashion-srstar-small | 85.6 | 84.6 | 82.3 | 80.5 |" in shown
    (commit,) = set(index._commits(json.loads((RESULTS / "methods_fashion.json").read_text())))
    assert f"at commit {commit}." in shown


def test_command_right_before_a_table_is_shown_once(index):
    assert index.of_page(RESULTS / "events_aedat.md").count("--preset aedat-srstar") == 1


def test_record_without_a_page_says_what_it_is(index, tmp_path):
    (tmp_path / "alone.json").write_text('{"what": "a trial", "versions": {"commit": "abc"}}')
    assert index.records(tmp_path) == (
        "## alone\n\na trial\n\nNumbers: [alone.json](alone.json), at commit abc."
    )


def test_reader_of_docstrings_sees_the_packages_and_nothing_else(tmp_path):
    for folder in ("core", "sim", ".venv", "runs"):
        (tmp_path / folder).mkdir()
    for file in ("__init__.py", "setup.py", "core/__init__.py", "sim/__init__.py"):
        (tmp_path / file).touch()
    view = script(ROOT / "docs" / "hooks" / "package_view.py").lay_out(tmp_path)
    assert {path.name for path in view.iterdir()} == {"__init__.py", "core", "sim"}
    assert (view / "core").resolve() == tmp_path / "core"


def test_site_has_a_page_for_every_package_of_the_library():
    shown = {path.stem for path in (ROOT / "docs" / "api").glob("*.md")}
    assert shown == {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"cli"}
