"""`spikeproof report`: the verdict for people."""

from pathlib import Path
from typing import Annotated

import typer

from .options import Device, Json, Out, Seed, full_float_device, show


def report(
    audit: Annotated[Path, typer.Argument(help="An audit.json.")],
    out: Out,
    format_: Annotated[
        str, typer.Option("--format", help="html: one file that needs nothing else; markdown; csv.")
    ] = "html",
    seed: Seed = 0,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Turns an audit into a page, or into Markdown or CSV.

    Example: spikeproof report runs/c/audit.json --out runs/c/report.html
    """
    from ..audit.report.formats import FORMATS
    from ..audit.schema import check
    from ..audit.verdict import verdict
    from ..core.choice import chosen
    from ..core.files import read_json, write_text

    del seed
    full_float_device(device)
    write = chosen(FORMATS, format_, what="a format")
    checked = check(read_json(audit))
    write_text(out, write(checked))
    show(
        {"out": str(out), "verdict": verdict(checked)},
        as_json=json,
        lines=[f"wrote {out}", verdict(checked)],
    )
