"""`spikeproof fit`: does a network fit a chip, and how much of it does it take?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Json, show

if TYPE_CHECKING:
    from ..sim.program import Program


def fit(
    network: Annotated[Path, typer.Argument(help="A bundle's folder or a .net file.")],
    chip: Annotated[
        str, typer.Option(help="loihi1, loihi2, or a .toml file that describes one.")
    ] = "loihi2",
    must_fit: Annotated[
        bool, typer.Option("--require-fit", help="Exit 1 where something does not fit.")
    ] = False,
    json: Json = False,
) -> None:
    """Counts cores and chips, says how full they are, and names what does not fit and why.

    Example: spikeproof fit runs/bundle --chip loihi2 --require-fit

    Example: spikeproof fit network.net --chip mine.toml --json
    """
    from ..deploy.chip_file import chip_named
    from ..deploy.fit import fit as fitted
    from ..deploy.fit import lines, require_fit

    found = fitted(_program(network), chip_named(chip))
    show(found.to_json(), as_json=json, lines=lines(found.to_json()))
    if must_fit:
        require_fit(found)


def _program(network: Path) -> "Program":
    from ..deploy.bundle import is_bundle, read_bundle
    from ..sim.netx.network import read_netx

    return read_bundle(network).program if is_bundle(network) else read_netx(network).program
