"""`spikeproof parity`: the twin against Lava, spike for spike."""

from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import NotEqualError
from .options import Device, Json, Seed, full_float_device, show
from .progress import RichTracker


def parity(
    bundle: Annotated[Path, typer.Argument(help="A bundle's folder.")],
    samples: Annotated[int, typer.Option(help="How many images or recordings.", min=1)] = 20,
    images: Annotated[
        Path | None,
        typer.Option("--input", help="npz of images or frames; else golden, then noise."),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds until Lava is killed.", min=1)] = 3600.0,
    seed: Seed = 0,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Compares every spike, u and v of the twin with Lava's; exit 1 on the first difference.

    Example: spikeproof parity runs/bundle --samples 40
    """
    from ..deploy.bundle import read_bundle
    from ..deploy.parity import check_parity, parity_images
    from ..deploy.samples import lattice_samples, read_samples

    full_float_device(device)
    opened = read_bundle(bundle)
    chosen = (
        parity_images(opened, samples=samples, seed=seed)
        if images is None
        else lattice_samples(opened.program, read_samples(images))[:samples]
    )
    report = check_parity(opened, chosen, timeout=timeout, tracker=RichTracker())
    lines = [
        f"{report.samples} samples, {len(report.layers)} layers, {report.values} values, "
        f"{report.spikes} spikes: {report.differences} differ from Lava"
    ]
    show(report.to_json(), as_json=json, lines=lines)
    if not report.is_equal:
        raise NotEqualError(f"expected the twin to equal Lava, got {report.first}; report this")
