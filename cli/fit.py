"""`spikeproof fit`: does a network fit a chip, and how much of it does it take?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from ..core.errors import ConfigError
from .options import Device, Json, Seed, full_float_device, show

if TYPE_CHECKING:
    from ..deploy.fit import Fit
    from ..sim.program import Program


def fit(
    network: Annotated[Path, typer.Argument(help="A bundle's folder or a .net file.")],
    chip: Annotated[
        str, typer.Option(help="loihi1, loihi2, or a .toml file that describes one.")
    ] = "loihi2",
    must_fit: Annotated[
        bool, typer.Option("--require-fit", help="Exit 1 where something does not fit.")
    ] = False,
    cost: Annotated[
        bool, typer.Option("--cost", help="Also what a bundle's golden samples cost, estimated.")
    ] = False,
    seed: Seed = 0,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Counts cores and chips, says how full they are, and names what does not fit and why.

    Example: spikeproof fit runs/bundle --chip loihi1 --cost

    Example: spikeproof fit runs/bundle --chip loihi2 --require-fit

    Example: spikeproof fit network.net --chip mine.toml --json
    """
    from ..deploy.chip_file import chip_named
    from ..deploy.cost import lines as cost_lines
    from ..deploy.fit import fit as fitted
    from ..deploy.fit import lines, require_fit
    from ..deploy.neurobench import lines as bench

    del seed  # nothing is drawn
    full_float_device(device)
    found = fitted(_program(network), chip_named(chip))
    report, text = found.to_json(), lines(found.to_json())
    if cost:
        spent = _spent(network, found)
        report, text = report | spent, text + cost_lines(spent["cost"]) + bench(spent["neurobench"])
    show(report, as_json=json, lines=text)
    if must_fit:
        require_fit(found)


def _program(network: Path) -> "Program":
    from ..deploy.bundle import is_bundle, read_bundle
    from ..sim.netx.network import read_netx

    return read_bundle(network).program if is_bundle(network) else read_netx(network).program


def _spent(network: Path, found: "Fit") -> dict[str, dict[str, object]]:
    """What a bundle's golden samples cost, and the same by NeuroBench's definitions."""
    from ..deploy.bundle import is_bundle, read_bundle
    from ..deploy.cost import costs, golden_messages
    from ..deploy.neurobench import neurobench
    from ..sim.arrays import read_arrays

    if not is_bundle(network):
        raise ConfigError(f"expected a bundle for --cost, got {network}; only bundles hold samples")
    program, golden = read_bundle(network).program, read_arrays(network / "golden.npz")
    sent = golden_messages(program, golden)
    steps, multiplies = len(golden["s0"]), bool((np.abs(golden["x"]) > 1).any())
    spent = costs(program, found.placement, found.chip, sent=sent, steps=steps)
    bench = neurobench(program, sent=sent, multiplies=multiplies, steps=steps)
    return {"cost": spent.to_json(), "neurobench": bench}
