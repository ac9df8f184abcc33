"""`spikeproof parity`: the twin against Lava, spike for spike."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import ConfigError, NotEqualError
from .options import Device, Json, Repair, Seed, full_float_device, show
from .progress import RichTracker

if TYPE_CHECKING:
    import numpy as np

    from ..deploy.bundle import Bundle


def parity(
    bundle: Annotated[Path, typer.Argument(help="A bundle's folder.")],
    samples: Annotated[int, typer.Option(help="How many images or recordings.", min=1)] = 20,
    images: Annotated[
        Path | None,
        typer.Option("--input", help="npz of images or frames; else golden, then noise."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Data SPEC: its first test samples instead.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds until Lava is killed.", min=1)] = 3600.0,
    repair: Repair = False,
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
    if images is not None and data is not None:
        raise ConfigError("expected --input or --data, got both; leave one of them out")
    opened = read_bundle(bundle)
    if data is not None:
        chosen = samples_of(opened, data, samples, repair=repair)
    elif images is not None:
        chosen = lattice_samples(opened.program, read_samples(images))[:samples]
    else:
        chosen = parity_images(opened, samples=samples, seed=seed)
    report = check_parity(opened, chosen, timeout=timeout, tracker=RichTracker())
    lines = [
        f"{report.samples} samples, {len(report.layers)} layers, {report.values} values, "
        f"{report.spikes} spikes: {report.differences} differ from Lava"
    ]
    show(report.to_json(), as_json=json, lines=lines)
    if not report.is_equal:
        raise NotEqualError(f"expected the twin to equal Lava, got {report.first}; report this")


def samples_of(bundle: "Bundle", spec: str, count: int, *, repair: bool = False) -> "np.ndarray":
    """The first test samples of a data set, as a deployed network takes them."""
    import numpy as np

    from ..datasets.images import load
    from ..deploy.deployment import frames_of

    frames = frames_of(bundle.nir, given=bundle.metadata)
    read = load(spec, frames=frames, mend=repair, tracker=RichTracker())
    return np.array(read.test_images[:count])
