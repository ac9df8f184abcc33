"""`spikeproof analyse norm-transfer`: does robustness under one norm hold under others?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import ConfigError
from .analyse_gradients import frames_of
from .analysis_results import Count, Format, finish
from .options import Data, Device, Json, Out, Seed, full_float_device, number
from .progress import RichTracker

if TYPE_CHECKING:
    from ..attacks.target import Target
    from ..train.target import NetworkTarget


def norm_transfer(
    network: Annotated[
        list[str],
        typer.Option(
            help="NAME=CHECKPOINT; epsilons are calibrated on the first.", show_default=False
        ),
    ],
    data: Data,
    out: Out,
    chip: Annotated[
        list[str] | None, typer.Option(help="NAME=BUNDLE, a deployed network, as often as wanted.")
    ] = None,
    norms: Annotated[str, typer.Option(help="Of the attacks.")] = "linf,l2,l1,l0",
    epsilon: Annotated[
        list[str] | None,
        typer.Option(
            help="NORM=RADIUS, as in linf=8/255, l2=0.5 or l0=10 pixels; else calibrated."
        ),
    ] = None,
    compare: Annotated[
        list[str] | None, typer.Option(help="NAME,NAME: a paired test under every norm.")
    ] = None,
    samples: Count = 200,
    estimators: Annotated[
        str | None, typer.Option(help="Spike derivatives to attack with, as in triangle,rga.")
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Every batch is padded to it.", min=1)] = 32,
    format_: Format = "svg",
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Attacks networks in balls of several norms; calibrates radii on the first; compares pairs.

    Example: spikeproof analyse norm-transfer --network vanilla=runs/vanilla --network at=runs/at
    --network srstar=runs/srstar --compare srstar,at --data digits --out runs/norm-transfer
    """
    import torch

    from ..analysis.figures import methods_figure
    from ..analysis.results import check_format
    from ..attacks.suite import PUBLISHED_ESTIMATORS
    from ..audit.deployed import cells_of
    from ..audit.norm_comparison import compare as compared
    from ..audit.norm_comparison import markdown, sentences
    from ..audit.norm_matrix import CLEAN, NormMatrix, NormMatrixConfig
    from ..audit.samples import Samples
    from ..core.files import write_text
    from ..datasets.images import load

    check_format(format_)
    used = full_float_device(device)
    floats = _floats(_named(network, "--network", "CHECKPOINT"), used)
    targets: dict[str, Target] = {**floats, **_chips(_named(chip, "--chip", "BUNDLE"), used)}
    if len(targets) < len(network) + len(chip or []):
        raise ConfigError("expected a name of its own for each network and chip; rename one")
    wanted = [_pair(text, targets) for text in compare or []]
    config = NormMatrixConfig(
        norms=tuple(norms.split(",")),
        epsilons=_radii(epsilon),
        estimators=PUBLISHED_ESTIMATORS if estimators is None else tuple(estimators.split(",")),
        batch_size=batch_size,
        seed=seed,
        cells=cells_of(frames_of(floats)),
    )
    read = load(data, frames=frames_of(floats), tracker=RichTracker())
    _check_shapes(floats, read.image_shape)
    shown = Samples.of(read.test_images, read.test_labels, wanted=samples)
    found = NormMatrix(
        config=config,
        targets=targets,
        samples=shown,
        device=torch.device(used),
        tracker=RichTracker(),
    ).measure()
    rows = compared(found, wanted, confidence=config.confidence)
    write_text(out / "norm-transfer.md", markdown(found, rows))
    columns = (CLEAN, *found["epsilons"])
    counts = {
        name: {column: sum(right[column]) for column in columns}
        for name, right in found["right"].items()
    }
    bars = [{"name": name, "samples": found["n"], **row} for name, row in counts.items()]
    shares = {name: {k: v / found["n"] for k, v in row.items()} for name, row in counts.items()}
    numbers = {**found, "comparisons": rows, "data": {"spec": data, "simulated": read.is_simulated}}
    figure = methods_figure(bars, columns)
    finish(out, "norm-transfer", numbers, figure, shares, seed, format_, json)
    if not json:
        for sentence in sentences(rows):
            typer.echo(sentence)


def _named(words: list[str] | None, option: str, what: str) -> dict[str, Path]:
    """Paths by name.

    Raises:
        ConfigError: If a word is no NAME=PATH.
    """
    found = {}
    for word in words or []:
        name, equals, path = word.partition("=")
        if not (name and equals and path):
            raise ConfigError(f"expected {option} NAME={what}, got {word!r}; write at=runs/at")
        found[name] = Path(path)
    return found


def _radii(words: list[str] | None) -> dict[str, float]:
    found = {}
    for word in words or []:
        norm, _, size = word.partition("=")
        try:
            found[norm] = number(size)
        except ValueError:
            raise ConfigError(
                f"expected --epsilon NORM=RADIUS, got {word!r}; write linf=8/255"
            ) from None
    return found


def _pair(text: str, known: "dict[str, Target]") -> tuple[str, str]:
    names = text.split(",")
    if len(names) != 2 or not set(names) <= set(known):
        raise ConfigError(
            f"expected --compare with two of {', '.join(known)}, got {text!r}; write first,second"
        )
    return names[0], names[1]


def _floats(paths: dict[str, Path], device: str) -> "dict[str, NetworkTarget]":
    from ..train.checkpoint import load
    from ..train.target import NetworkTarget

    return {name: NetworkTarget(load(path).to(device), name=name) for name, path in paths.items()}


def _chips(paths: dict[str, Path], device: str) -> "dict[str, Target]":
    from ..deploy.bundle import read_bundle
    from ..sim.classifier import TwinClassifier

    return {
        name: TwinClassifier(read_bundle(path).program, device=device)
        for name, path in paths.items()
    }


def _check_shapes(networks: "dict[str, NetworkTarget]", shape: tuple[int, ...]) -> None:
    for name, target in networks.items():
        takes: tuple[Any, ...] = tuple(target.network.config.input_shape)
        if takes != tuple(shape):
            raise ConfigError(
                f"expected data of shape {takes} for {name}, got {tuple(shape)}; pass the data "
                "that it was trained on"
            )
