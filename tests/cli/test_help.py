"""Help that helps: every command has an example, and every example is one that works."""

import os
import re
import subprocess
import sys
from inspect import cleandoc
from pathlib import Path

import pytest

from spikeproof.tests.cli.command_line import commands, parse

COMMANDS = commands()
EXAMPLE = re.compile(r"^Example: (.*?)(?:\n\n|\Z)", re.MULTILINE | re.DOTALL)


def examples(name):
    """Words of the examples of a command, its own name left out."""
    found = EXAMPLE.findall(cleandoc(COMMANDS[name].callback.__doc__))
    return [example.split()[1:] for example in found]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_that_parses(name):
    found = examples(name)
    assert found
    for words in found:
        assert " ".join(words).startswith(name)
        assert parse(words)


@pytest.mark.parametrize("words", ["train --prest x", "fit a --chip", "fit a --seed many"])
def test_a_wrong_example_would_not_parse(words):
    with pytest.raises(Exception, match=r"No such option|requires an argument|a valid integer"):
        parse(words.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is(name):
    silent = [each.name for each in COMMANDS[name].params if not getattr(each, "help", None)]
    assert not silent


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("spikeproof cert", {"certify"}),
        ("spikeproof deploy --fin", {"--finetune"}),
        ("spikeproof analyse vuln", {"vulnerability"}),
    ],
)
def test_bash_completes_commands_and_options(words, offered, tmp_path):
    script = (
        'eval "$(spikeproof --show-completion)"\n'
        f"COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n"
        '_spikeproof_completion spikeproof; echo "${COMPREPLY[@]}"'
    )
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-c", script],
        env=os.environ | {"PATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (set(done.stdout.split()), done.stderr) == (offered, "")
