"""`spikeproof audit`: does robustness survive deployment?"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ..core.errors import ConfigError
from .options import (
    Data,
    Device,
    Engine,
    Epsilon,
    Json,
    Repair,
    Seed,
    Shards,
    check_suffix,
    full_float_device,
    radius,
    show,
)
from .progress import RichTracker


def audit(
    checkpoint: Annotated[Path, typer.Option("--float", help="A checkpoint.")],
    hardware: Annotated[Path, typer.Option("--hardware", help="A bundle's folder.")],
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="audit.json to write.")] = Path("audit.json"),
    suite: Annotated[
        str, typer.Option(help="quick, paper, full or exhaustive; events, for recordings.")
    ] = "quick",
    samples: Annotated[int | None, typer.Option(help="First N test samples.")] = None,
    epsilon: Epsilon = None,
    norm: Annotated[
        str, typer.Option(help="linf, l2, l1, or l0, whose epsilon is pixels.")
    ] = "linf",
    curve_samples: Annotated[int, typer.Option(help="Samples of the curve over epsilon.")] = 128,
    source: Annotated[
        list[Path] | None,
        typer.Option(help="A checkpoint trained apart (preset *-source-*), as often as wanted."),
    ] = None,
    estimators: Annotated[
        str | None, typer.Option(help="Spike derivatives to attack with, as in triangle,rga.")
    ] = None,
    restarts: Annotated[int, typer.Option(help="Runs of attacks with a random start.")] = 1,
    chip_questions: Annotated[
        int,
        typer.Option(
            help="Asks the chip alone, of the first N samples: can its registers be driven to "
            "overflow, its work up; what do flipped bits and lost spikes do."
        ),
    ] = 0,
    batch_size: Annotated[int, typer.Option(help="Every batch is padded to it.")] = 32,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where it stopped.")] = False,
    shards: Shards = 1,
    shard: Annotated[
        int | None, typer.Option(help="Does this part alone, from 0; --resume then collects.")
    ] = None,
    recordings: Annotated[
        Path | None,
        typer.Option(help="Folder for test recordings as attacks on events left them."),
    ] = None,
    repair: Repair = False,
    engine: Engine = "local",
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Attacks the float network and the simulated chip, and says what is left.

    Example: spikeproof audit --float runs/c --hardware runs/c/bundle --data cifar10:data
    --samples 1000 --out runs/c/audit.json
    """
    from ..attacks.lattice import LINF
    from ..audit.config import AuditConfig
    from ..audit.deployed import (
        cells_of,
        check_data,
        data_context,
        load_deployed,
        trial_images,
    )
    from ..audit.plan import Plan
    from ..audit.recordings import origin, summary, write_recordings
    from ..audit.sources import load_sources
    from ..audit.validate import run, run_shard
    from ..datasets.images import load

    config = AuditConfig(
        suite=suite,
        samples=samples,
        epsilon=radius(epsilon, None),
        norm=norm,
        seed=seed,
        curve_samples=curve_samples,
        estimators=None if estimators is None else tuple(estimators.split(",")),
        restarts=restarts,
        chip_questions=chip_questions,
        batch_size=batch_size,
        shards=shards,
        engine=engine,
    )
    if norm != LINF and epsilon is None:
        raise ConfigError(f"expected --epsilon with --norm {norm}, got none; its unit is its own")
    check_suffix(out, ".json")
    if recordings is not None and shard is not None:
        raise ConfigError(
            "expected --recordings where all shards are collected, got it with --shard; give it "
            "with --resume"
        )
    if out.exists() and not resume:
        raise ConfigError(
            f"expected no audit at {out}, got one; name another output, delete it, or return to it "
            "with --resume"
        )
    used, tracker = full_float_device(device), RichTracker()
    deployed = load_deployed(checkpoint, hardware, device=used)
    frames = deployed.network.config.frames
    config = replace(config, epsilon=radius(epsilon, frames), cells=cells_of(frames))
    read = load(data, frames=frames, mend=repair, tracker=tracker)
    check_data(deployed, read, config)
    files = None
    if recordings is not None:
        files = origin(data, frames, config, recordings, mend=repair)
    apart = load_sources(source, checkpoint, device=used) if source else None
    plan = Plan.of(
        config,
        float_target=deployed.float_target,
        hardware_target=deployed.hardware_target,
        images=read.test_images,
        labels=read.test_labels,
        sources={} if apart is None else apart.targets,
        stages=deployed.stages,
        trial=trial_images(read, seed=seed),
        device=used,
    )
    context = {
        **deployed.context,
        **data_context(read, frames),
        **({} if apart is None else apart.context),
    }
    if shard is not None:
        left = run_shard(plan, shard=shard, out=out, context=context, tracker=tracker)
        said = f"{left} of {shards} shards left" if left else "all shards done: run with --resume"
        show({"shard": shard, "left": left}, as_json=json, lines=[f"shard {shard} done, {said}"])
        return
    result = run(
        plan, out=out, context=context, rates=deployed.rates, resume=resume, tracker=tracker
    )
    lines = [*matrix(result.audit), "", result.verdict, *result.audit["remarks"]]
    if files is not None and recordings is not None:
        mark = result.audit["fingerprint"]
        found = write_recordings(
            plan, result.ledger, files, recordings, fingerprint=mark, tracker=tracker
        )
        lines.append(summary(found, recordings))
    show(result.audit, as_json=json, lines=lines)


def matrix(audit: dict[str, Any]) -> list[str]:
    """The 2x2 of robust accuracies as lines."""
    from ..audit.wording import estimate

    robust, clean = audit["robust"], audit["clean"]
    rows = [
        ("", "on float", "on chip"),
        ("clean", estimate(clean["float"]), estimate(clean["hardware"])),
        (
            "crafted on float",
            estimate(robust["float_on_float"]),
            estimate(robust["float_on_hardware"]),
        ),
        (
            "crafted on chip",
            estimate(robust["hardware_on_float"]),
            estimate(robust["hardware_on_hardware"]),
        ),
        *(
            (box["source"], estimate(box["float"]), estimate(box["hardware"]))
            for box in audit["black_box"]
        ),
    ]
    wide = max(18, *(len(name) for name, *_ in rows))
    return [f"{name:{wide}} {left:26} {right:26}".rstrip() for name, left, right in rows]
