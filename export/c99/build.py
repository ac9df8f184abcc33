"""The C99 files under a compiler at hand: what they answer, to be held against the twin."""

import os
import shutil
import subprocess
import tempfile
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8

from ...core.errors import MissingAbilityError, NotEqualError
from ...sim.classifier import LEVELS, TwinClassifier
from ...sim.program import Program
from .generate import MAIN, SOURCE, c99

STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror")
COMPILERS = ("cc", "gcc", "clang")
SAMPLES, ANSWERS = "golden.raw", "golden.txt"
BATCH = 64


def compiler() -> str | None:
    """The C compiler of this machine: `$CC`, or the first of the usual names; None without one."""
    return next(
        (path for name in (os.environ.get("CC"), *COMPILERS) if (path := _found(name))), None
    )


def _found(name: str | None) -> str | None:
    return shutil.which(name) if name else None


def build(folder: Path, out: Path, *, options: tuple[str, ...] = ("-O2",)) -> Path:
    """Compiles the files of a folder; every warning is an error.

    Args:
        folder: Where `network.h`, `network.c` and `main.c` lie.
        out: Where the program is put.
        options: Of the compiler, beside those of the language.

    Raises:
        MissingAbilityError: If there is no compiler.
        NotEqualError: If it refuses the files.
    """
    if (command := compiler()) is None:
        raise MissingAbilityError(
            f"expected a C compiler, got none of $CC, {', '.join(COMPILERS)}; install one"
        )
    program = out / "network"
    sources = [str(folder / SOURCE), str(folder / MAIN)]
    done = subprocess.run(
        [command, *STRICT, *options, "-o", str(program), *sources],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotEqualError(
            f"expected {SOURCE} and {MAIN} to compile, got "
            f"{done.stderr.strip().splitlines()[0]}; deploy again"
        )
    return program


def answers(program: Path, samples: UInt8[np.ndarray, "N channels H W"]) -> str:
    """What the compiled program prints on samples: a line each.

    Raises:
        NotEqualError: If it fails, as it does where a sanitiser finds something.
    """
    data = np.ascontiguousarray(samples).tobytes()
    done = subprocess.run([program], input=data, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
        raise NotEqualError(f"expected {program.name} to end well, got {said[0]}; deploy again")
    return done.stdout.decode()


def expected_answers(program: Program, samples: UInt8[np.ndarray, "N channels H W"]) -> str:
    """What it has to print: the class of the greatest of the twin's integers, and they."""
    rows = np.concatenate(
        [readings(program, samples[k : k + BATCH]) for k in range(0, len(samples), BATCH)]
    )
    return "".join(f"{row.argmax()} {' '.join(map(str, row.tolist()))}\n" for row in rows)


def readings(
    program: Program, samples: UInt8[np.ndarray, "N channels H W"]
) -> Int64[np.ndarray, "N K"]:
    """The twin's read-out in the unit of its registers; of spikes, their count."""
    chip = TwinClassifier(program)
    kind, name = chip.readout.kind, chip.readout.population
    with torch.no_grad():
        run = chip.run(torch.from_numpy(samples).to(torch.float32) / LEVELS, record=True)
    v = run.registers[name].v.to(torch.int64)
    found = {"membrane": v[-1], "sum": v.sum(0), "spikes": run.spikes[name].to(torch.int64).sum(0)}
    return found[kind].flatten(1).numpy()


def c99_files(program: Program, samples: UInt8[np.ndarray, "N channels H W"]) -> dict[str, bytes]:
    """All that a C compiler needs to run a network and to see that it runs right, by file name.

    Errors as of `c99`. `./network < golden.raw` has to print `golden.txt`.
    """
    texts = {**c99(program), ANSWERS: expected_answers(program, samples)}
    files = {name: text.encode() for name, text in texts.items()}
    return files | {SAMPLES: np.ascontiguousarray(samples).tobytes()}


def require_equal(
    folder: Path, program: Program, samples: UInt8[np.ndarray, "N channels H W"]
) -> int:
    """Compiles a folder's C files and compares their answers with the twin's; returns the lines.

    Raises:
        MissingAbilityError: If there is no compiler.
        NotEqualError: If they do not compile, or answer otherwise.
    """
    with tempfile.TemporaryDirectory() as room:
        found = answers(build(folder, Path(room)), samples)
    wanted = expected_answers(program, samples)
    pairs = zip_longest(found.splitlines(), wanted.splitlines(), fillvalue="nothing")
    for number, (left, right) in enumerate(pairs):
        if left != right:
            raise NotEqualError(
                f"expected sample {number} to give {right} in C, got {left}; the bundle and this "
                "compiler disagree"
            )
    return found.count("\n")
