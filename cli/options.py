"""Options that every command takes, and how results are printed."""

import json
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import ConfigError, MissingAbilityError

if TYPE_CHECKING:
    from ..datasets.frames import FrameConfig
    from ..datasets.image_data import ImageData

Seed = Annotated[int, typer.Option(help="Seed of every random draw.", min=0)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Data = Annotated[
    str, typer.Option("--data", help="digits, npz:FILE, cifar10:DIR, nmnist:DIR, aedat:DIR, ...")
]
Shards = Annotated[int, typer.Option(help="Cuts the samples of an audit into so many parts.")]
Engine = Annotated[str, typer.Option(help="local, or ray: shards on a cluster (extra scale).")]
Repair = Annotated[
    bool, typer.Option("--repair", help="Mend damaged recordings instead of refusing them.")
]
Out = Annotated[Path, typer.Option("--out", help="Where to write.")]


def number(text: str | float) -> float:
    """A number, or a fraction as in `8/255`.

    Raises:
        ValueError: If it is neither.
    """
    try:
        return float(Fraction(text)) if isinstance(text, str) and "/" in text else float(text)
    except ZeroDivisionError as error:
        raise ValueError(f"expected a number or a fraction, got {text!r}") from error


Epsilon = Annotated[
    float | None,
    typer.Option(
        parser=number,
        metavar="NUMBER",
        help="Radius in input units: of images 8/255, of frames of events 1/255, one step of a "
        "cell, where none is given.",
    ),
]


def radius(epsilon: float | None, frames: "FrameConfig | None") -> float:
    """The radius that was asked for, or the usual one of images or of frames."""
    return (8 if frames is None else 1) / 255 if epsilon is None else epsilon


def left_out(read: "ImageData") -> list[str]:
    """A line on what reading recordings left out or mended, where it did."""
    from ..audit.wording import left_out_text

    return [f"reading the recordings {left_out_text(read.left_out)}"] if read.left_out else []


def check_suffix(path: Path, suffix: str) -> None:
    """Refuses an output whose name says something else than what will be in it.

    Raises:
        ConfigError: If `path` ends otherwise.
    """
    if path.suffix != suffix:
        raise ConfigError(
            f"expected an output that ends in {suffix}, got {path}; name it "
            f"{path.with_suffix(suffix).name}"
        )


def full_float_device(name: str) -> str:
    """The device to use for `--device`; floats are full floats on it.

    Raises:
        MissingAbilityError: If it is not here.
    """
    import torch

    # TF32 rounds what it multiplies to ten bits, which flips spikes.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise MissingAbilityError(
            f"expected a device that torch can use, got {name!r} ({str(error).splitlines()[0]}); "
            f"use --device cpu"
        ) from error
    return name


def show(result: dict[str, Any], *, as_json: bool, lines: list[str]) -> None:
    """Prints a result: JSON for machines, lines for people."""
    typer.echo(json.dumps(result, indent=2, sort_keys=True) if as_json else "\n".join(lines))
