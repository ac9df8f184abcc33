"""Command lines as the parser of the commands takes them, without running anything."""

from collections.abc import Sequence
from typing import Any

import typer.main

from spikeproof.cli.main import app

TREE: Any = typer.main.get_command(app)


def commands(tree: Any = TREE, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Every command that runs, by its words: `analyse norms`."""
    below = getattr(tree, "commands", None)
    if below is None:
        return {" ".join(path): tree}
    found: dict[str, Any] = {}
    for name, command in below.items():
        found |= commands(command, (*path, name))
    return found


def parse(words: Sequence[str]) -> dict[str, Any]:
    """What a command would be called with.

    Raises:
        Exception: Click's usage errors, which typer carries inside, for options that do not exist
            and values of another kind.
    """
    context, command, rest = None, TREE, list(words)
    while hasattr(command, "commands"):
        context = command.make_context(
            command.name, rest[:1], parent=context, resilient_parsing=True
        )
        _, command, _ = command.resolve_command(context, rest[:1])
        rest = rest[1:]
    return command.make_context(command.name, rest, parent=context).params
