"""Every code block of README and docs is run, page by page, in an empty folder."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from spikeproof.tests import pages
from spikeproof.tests.cli.command_line import parse
from spikeproof.tests.pages import LANGUAGES, blocks

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md")))
}
SHORT = {"docs/concepts.md"}
"""Pages that take seconds; the others train networks."""
RUN = [
    pytest.param(name, marks=[] if name in SHORT else pytest.mark.slow)
    for name, path in PAGES.items()
    if any(block.is_run for block in blocks(path))
]
NOT_RUN = {
    "set-up": "installs, or is `make`: what every run of the checks begins with",
    "record": "how a committed record was made, which takes hours and data that is not here",
    "lava": "needs Lava, which not every machine has; the commands have tests of their own",
}
"""Why a block may be left out; a record is on a page of results, once."""
FEW = {
    ("README.md", "set-up"): 1,
    ("installing.md", "set-up"): 3,
    ("start.md", "set-up"): 2,
    ("start.md", "lava"): 1,
}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", RUN)
def test_page_does_what_it_says(name, shared, tmp_path):
    scripts = str(Path(sys.executable).parent)
    environment = os.environ | {
        "DATA": str(shared / "data"),
        "PATH": os.pathsep.join([scripts, os.environ["PATH"]]),
        "OMP_NUM_THREADS": "1",
        "SPIKEPROOF_CACHE": str(tmp_path / "cache"),
    }
    (tmp_path / "here").mkdir()
    done = subprocess.run(
        [sys.executable, pages.__file__, str(PAGES[name])],
        cwd=tmp_path / "here",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_every_block_is_code_that_is_run_or_says_why_not():
    found = [block for path in PAGES.values() for block in blocks(path)]
    assert len(found) > 40
    for block in found:
        assert block.language in LANGUAGES, f"{block.place}: say what it is behind its fence"
        assert not block.reason or block.reason in NOT_RUN, block.place
        assert block.language not in pages.FILES or block.title, f"{block.place}: give a title"


def test_only_these_blocks_are_not_run():
    left = [block for path in PAGES.values() for block in blocks(path) if block.reason]
    counted = Counter((block.page.name, block.reason) for block in left)
    records = {key: 1 for key in counted if key[1] == "record"}
    assert counted == {**FEW, **records}
    for block in left:
        assert (block.reason == "record") == (block.page.parent.name == "results"), block.place


COMMANDS = [
    pytest.param(words, id=f"{block.place} {words[0]}")
    for path in PAGES.values()
    for block in blocks(path)
    if block.reason
    for words in block.commands
]


@pytest.mark.parametrize("words", COMMANDS)
def test_commands_that_are_not_run_are_at_least_commands(words):
    assert parse(words)
