"""`spikeproof verify`: hashes and golden vectors of a bundle."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .options import Device, Json, Seed, full_float_device, show
from .progress import RichTracker


def verify(
    bundle: Annotated[Path, typer.Argument(help="A bundle's folder.")],
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Checks a bundle on every executor at hand; exit 1 if anything differs.

    Example: spikeproof verify runs/bundle
    """
    from ..deploy.verification import verify_bundle

    del seed
    checks = verify_bundle(bundle, device=full_float_device(device), tracker=RichTracker())
    lines = [f"{check.name:8} {check.detail}" for check in checks]
    show({"checks": [asdict(check) for check in checks]}, as_json=json, lines=lines)
