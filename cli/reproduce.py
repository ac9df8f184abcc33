"""`spikeproof reproduce`: a table or figure of the paper, with the deployed chip beside it."""

from typing import Annotated

import typer

from .options import Data, Device, Engine, Json, Out, Seed, Shards, full_float_device, show
from .progress import RichTracker


def reproduce(
    target: Annotated[
        str, typer.Argument(help="table1 to table4, table6, table7, fig1, fig3 to fig6, or norms.")
    ],
    data: Data,
    out: Out,
    scale: Annotated[
        str, typer.Option(help="full (the paper's settings), subset, or smoke (minutes).")
    ] = "smoke",
    resume: Annotated[
        bool, typer.Option("--resume", help="Take what was measured before; networks always are.")
    ] = False,
    shards: Shards = 1,
    engine: Engine = "local",
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Trains, deploys and attacks as a table or figure of the paper does, and compares.

    Targets that share a folder share trained networks. Writes TARGET.json, TARGET.md and
    TARGET.svg into it.

    Example: spikeproof reproduce table3 --scale smoke --data digits --out runs/paper
    """
    from ..reproduce.run import ReproduceConfig, run

    config = ReproduceConfig(
        target=target,
        scale=scale,
        spec=data,
        seed=seed,
        resume=resume,
        shards=shards,
        engine=engine,
    )
    used = full_float_device(device)
    result = run(config, out, device=used, tracker=RichTracker())
    lines = [f"wrote {out / target}.json, .md and .svg", "", result.markdown()]
    show(result.to_dict(), as_json=json, lines=lines)
