"""A reproduction from its name to the files that it leaves."""

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..analysis.results import write_results
from ..audit.engines import ENGINES
from ..core.choice import chosen
from ..core.errors import ConfigError
from ..core.files import read_json, write_text
from ..core.progress import SILENT, Tracker
from ..core.record import versions
from ..datasets.images import ImageData, fingerprint, load
from ..train.run_folder import CONFIG
from .bench import Bench
from .printed import printed
from .results import Cell, Claim, Measured, Result
from .scales import SCALES, Block, Scale, blocks_of, data_name, is_of_events
from .store import NETWORKS, Store
from .targets import Target, target_named


@dataclass(frozen=True, kw_only=True)
class ReproduceConfig:
    """What is reproduced, at which cost.

    Args:
        target: A name of `targets.TARGETS`.
        scale: A name of `scales.SCALES`.
        spec: The data, images or recordings as the target takes them.
        seed: Of trainings and attacks.
        resume: Whether what was measured before is taken. Trained networks always are.
        shards: Into how many parts audits cut their samples.
        engine: Who works on them.

    Raises:
        ConfigError: If a name is unknown, or the data are of the wrong kind.
    """

    target: str
    scale: str = "smoke"
    spec: str = "digits"
    seed: int = 0
    resume: bool = False
    shards: int = 1
    engine: str = "local"

    def __post_init__(self) -> None:
        target = target_named(self.target)
        chosen(SCALES, self.scale, what="a scale")
        chosen(ENGINES, self.engine, what="an engine")
        wanted, got = ("images", "recordings")[:: -1 if target.takes_events else 1]
        if is_of_events(self.spec) != target.takes_events:
            raise ConfigError(
                f"expected {wanted} for {self.target}, got the {got} of {self.spec!r}; choose "
                f"{wanted}, or another target"
            )

    @property
    def command(self) -> str:
        """What a user types for it."""
        more = [f"--seed {self.seed}"] if self.seed else []
        words = ["spikeproof reproduce", self.target, "--scale", self.scale, "--data", self.spec]
        return " ".join([*words, "--out DIR", *more])


def run(
    config: ReproduceConfig, out: Path, *, device: str = "cpu", tracker: Tracker = SILENT
) -> Result:
    """Trains and deploys what is missing below `out`, measures, and writes what was found.

    Args:
        config: What is reproduced.
        out: Networks and measurements go below it, `<target>.json`, `.md` and `.svg` into it.
        device: Where.
        tracker: Where progress is reported.

    Returns:
        The table, what became of the paper's claims, and how it came about.

    Raises:
        ConfigError: If no preset is for the data, or options do not fit.
        DataError: If the data cannot be read.
    """
    target, scale = target_named(config.target), SCALES[config.scale]
    data = _read(config, scale, tracker)
    store = Store(
        folder=out,
        data=data,
        spec=config.spec,
        device=device,
        searched=scale.searched,
        resume=config.resume,
        tracker=tracker,
    )
    blocks = blocks_of(target.blocks, data_name(config.spec, data))
    measured = {
        block: target.measure(_bench(config, block, scale, store), target.rows, target.columns)
        for block in blocks
    }
    result = collected(config, target, measured, about=_about(config, scale, store))
    _write(config, target, result, measured, out)
    return result


def collected(
    config: ReproduceConfig,
    target: Target,
    measured: Mapping[Block, Measured],
    *,
    about: Mapping[str, Any],
) -> Result:
    """What was found beside what the paper prints."""
    cells: list[Cell] = []
    claims: list[Claim] = []
    for block, part in measured.items():
        own = [
            Cell(
                block=block.label,
                found=found,
                paper=printed(
                    config.target, block.published, found.row, target.labels.index(found.column)
                ),
            )
            for found in part.found
        ]
        cells += own
        claims += [*part.claims, *target.claims(own)]
    strangers = [block for block in measured if block.stands_for]
    return Result(
        title=target.title,
        cells=tuple(cells),
        claims=tuple(claims),
        about=about,
        notes=(*target.notes, *(_standing(block) for block in strangers)),
        blocks={block.label: block.published for block in measured},
        numbers={block.label: dict(part.numbers) for block, part in measured.items()},
    )


def _standing(block: Block) -> str:
    return (
        f"{block.label} stands for {block.stands_for}: other data and another network, so that "
        "only orders can be compared and differences say little."
    )


def _bench(config: ReproduceConfig, block: Block, scale: Scale, store: Store) -> Bench:
    return Bench(
        block=block,
        scale=scale,
        store=store,
        seed=config.seed,
        shards=config.shards,
        engine=config.engine,
    )


def _read(config: ReproduceConfig, scale: Scale, tracker: Tracker) -> ImageData:
    """The data as the target's networks take them."""
    frames = None
    if is_of_events(config.spec):
        frames = scale.preset(data_name(config.spec), "vanilla").network.frames
    return load(config.spec, limit=scale.limit, frames=frames, tracker=tracker)


def _about(config: ReproduceConfig, scale: Scale, store: Store) -> dict[str, Any]:
    data, samples = store.data, len(store.data.test_labels)
    trained = {name: store.folder / NETWORKS / name for name in sorted(store.used)}
    return {
        "target": config.target,
        "command": config.command,
        "scale": asdict(scale),
        "samples": samples if scale.samples is None else min(samples, scale.samples),
        "seed": config.seed,
        "device": store.device,
        "machine": _machine(store.device),
        "commit": versions().get("commit", versions()["spikeproof"]),
        "data": {
            "name": data.name,
            "spec": config.spec,
            "fingerprint": fingerprint(data),
            "simulated": data.is_simulated,
        },
        "networks": {name: read_json(folder / CONFIG) for name, folder in trained.items()},
    }


def _machine(device: str) -> str:
    """Where it ran, in words."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} of {os.cpu_count()} threads, {platform.machine()}"


def _write(
    config: ReproduceConfig,
    target: Target,
    result: Result,
    measured: Mapping[Block, Measured],
    out: Path,
) -> None:
    own = [part.figure for part in measured.values() if part.figure is not None]
    figure = own[0] if own else target.draw(result)
    write_results(out, config.target, result.to_dict(), figure, seed=config.seed)
    write_text(out / f"{config.target}.md", result.markdown())
