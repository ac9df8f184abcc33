"""`spikeproof`: the commands, and how each of them ends.

Exit 0: done. 1: a check failed. 2: bad usage, bad input or a missing ability. Each failure is one
line on stderr, the last one (130: interrupted): what another program said of it stands above.
"""

import os
import re
import sys

import typer

from ..core.errors import SpikeproofError
from .analyse import analyse
from .audit import audit
from .certify import certify
from .demo import demo
from .deploy import deploy
from .doctor import doctor
from .export import export
from .fit import fit
from .parity import parity
from .record import record
from .report import report
from .reproduce import reproduce
from .seal import seal
from .simulate import simulate
from .train import train
from .verify import verify

_ALLOCATION = re.compile("can't allocate memory|out of memory")
_MEMORY = "expected memory for all of it at once, got {}; take fewer samples or steps"
INTERRUPTED = 130
INTERRUPTION = "interrupted; repeat the command to go on, train and audit with --resume"

app = typer.Typer(
    name="spikeproof",
    help="Does a spiking network's adversarial robustness survive deployment?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
COMMANDS = (
    *(doctor, record, train, export, deploy, fit, simulate),
    *(parity, audit, certify, report, reproduce, seal, verify, demo),
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(analyse, name="analyse")


def main() -> None:
    """Runs a command; turns every expected failure into one line and an exit code."""
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:  # how newer versions of typer tell
            _fail(INTERRUPTION, code)
    except (KeyboardInterrupt, typer.Abort):
        code = _fail(INTERRUPTION, INTERRUPTED)
    except SpikeproofError as error:
        for note in getattr(error, "__notes__", ()):
            typer.echo(note, err=True)
        code = _fail(str(error), error.exit_code)
    except (BrokenPipeError, SystemExit) as error:
        # The reader has what it wanted (`| head`); typer ends with 1, which means a failed check.
        if not isinstance(error, BrokenPipeError) and not _is_of_pipe(error):
            raise
        # Without this Python complains once more while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except MemoryError as error:
        code = _fail(_MEMORY.format(error or "less"), 2)
    except OSError as error:
        what = error.filename or "all files"
        code = _fail(f"expected access to {what}, got {error.strerror or error}; choose others", 2)
    except Exception as error:
        # Usage errors: their classes are Click's, which typer carries inside and does not export.
        describe = getattr(error, "format_message", None)
        if describe is not None:
            code = _fail(describe(), 2)
        elif _ALLOCATION.search(str(error)):  # as torch says it, in a RuntimeError
            code = _fail(_MEMORY.format(str(error).splitlines()[0]), 2)
        else:
            raise
    sys.exit(code or 0)


def _is_of_pipe(error: BaseException) -> bool:
    return isinstance(error.__context__, BrokenPipeError)


def _fail(message: str, code: int) -> int:
    if message:  # empty where the help has said it all
        typer.echo(f"spikeproof: {message}", err=True)
    return code


if __name__ == "__main__":
    main()
