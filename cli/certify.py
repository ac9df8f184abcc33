"""`spikeproof certify`: how much of a chip's robustness is proven."""

from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import ConfigError
from .options import Data, Device, Json, Repair, Seed, check_suffix, full_float_device, number, show
from .progress import RichTracker


def certify(
    bundle: Annotated[Path, typer.Argument(help="A bundle's folder.")],
    data: Data,
    epsilon: Annotated[
        str, typer.Option(help="Radii in input units, separated by commas.")
    ] = "1/255,2/255,4/255,8/255",
    samples: Annotated[int, typer.Option(help="First N test images.", min=1)] = 100,
    out: Annotated[
        Path | None, typer.Option(help="Also write the result to this .json file.")
    ] = None,
    repair: Repair = False,
    seed: Seed = 0,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Proves for test images that no change within epsilon changes the class on the chip.

    An audit's robust accuracy is what attacks left; this is what no attack can take. Small networks
    only: what intervals lose grows with layers, steps and epsilon.

    Example: spikeproof certify runs/bundle --data digits --epsilon 1/255,2/255 --samples 240
    """
    from ..audit.certified import certify_inputs
    from ..audit.deployed import data_context
    from ..audit.samples import Samples
    from ..audit.wording import epsilon_text, estimate
    from ..core.files import check_writable, write_json
    from ..core.record import versions
    from ..datasets.images import load
    from ..deploy.bundle import identity, read_bundle
    from ..deploy.deployment import frames_of

    del seed  # nothing is drawn
    full_float_device(device)
    radii = [_radius(word) for word in epsilon.split(",")]
    if out is not None:
        check_suffix(out, ".json")
        check_writable(out)
    opened, tracker = read_bundle(bundle), RichTracker()
    frames = frames_of(opened.nir, given=opened.metadata)
    read = load(data, frames=frames, mend=repair, tracker=tracker)
    shown = Samples.of(read.test_images, read.test_labels, wanted=samples)
    found = certify_inputs(
        opened.program, shown.images, shown.labels, epsilons=radii, tracker=tracker
    )
    result = {
        "n": len(shown),
        "clean": float(found[0].is_right.mean()),
        "radii": [each.to_json() for each in found],
        "context": data_context(read, frames) | {"bundle_sha256": identity(bundle)},
        "versions": versions(),
    }
    lines = [
        f"clean {found[0].is_right.mean():.1%} of {len(shown)}",
        *(
            f"{epsilon_text(row['epsilon']):8} certified {estimate(row['certified'])}"
            for row in result["radii"]
        ),
    ]
    if out is not None:
        write_json(out, result)
        lines.append(f"wrote {out}")
    show(result, as_json=json, lines=lines)


def _radius(word: str) -> float:
    try:
        found = number(word)
    except ValueError as error:
        raise ConfigError(
            f"expected radii such as 1/255,2/255, got {word!r}; separate numbers by commas"
        ) from error
    if not 0 <= found <= 1:
        raise ConfigError(f"expected radii within 0 to 1, got {word}; 8 levels of 255 are 8/255")
    return found
