"""`spikeproof seal`: an audit becomes a part of its bundle."""

from pathlib import Path
from typing import Annotated

import typer

from .options import Device, Json, Seed, full_float_device, show


def seal(
    bundle: Annotated[Path, typer.Argument(help="A bundle's folder.")],
    audit: Annotated[Path, typer.Argument(help="An audit.json of this bundle.")],
    seed: Seed = 0,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Seals an audit and its page into the bundle it is about; `verify` checks them with the rest.

    Example: spikeproof seal runs/bundle runs/audit.json
    """
    from ..audit.sealed import seal_audit
    from ..audit.verdict import verdict
    from ..deploy.bundle import AUDIT, REPORT, check_sums

    del seed
    full_float_device(device)
    said = verdict(seal_audit(bundle, audit))
    files = check_sums(bundle)
    show(
        {"bundle": str(bundle), "sealed": [AUDIT, REPORT], "files": files, "verdict": said},
        as_json=json,
        lines=[f"sealed {AUDIT} and {REPORT} into {bundle}, {files} files with theirs", said],
    )
