"""`spikeproof train`: a checkpoint folder from a preset or a config file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import ConfigError, SpikeproofError
from .options import Data, Device, Json, Out, Repair, full_float_device, left_out, show
from .progress import RichTracker

if TYPE_CHECKING:
    from ..train.config import Recipe
    from ..train.network import NetworkConfig, SpikingNetwork


def train(
    data: Data,
    out: Out,
    preset: Annotated[str | None, typer.Option(help="e.g. cifar-srstar-small.")] = None,
    config: Annotated[Path | None, typer.Option(help="A TOML file.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, as often as wanted.")
    ] = None,
    init: Annotated[
        Path | None, typer.Option(help="A checkpoint whose weights are trained further.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="First N training and test samples.")] = None,
    repair: Repair = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where it stopped.")] = False,
    seed: Annotated[int | None, typer.Option(help="Seed of every random draw.", min=0)] = None,
    device: Device = "auto",
    devices: Annotated[
        int | None, typer.Option(help="Processes on this machine, a GPU each.")
    ] = None,
    nodes: Annotated[int | None, typer.Option(help="Machines; torchrun tells both.")] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write metrics for TensorBoard.")
    ] = False,
    json: Json = False,
) -> None:
    """Trains a spiking network: vanilla, adversarial, SR or SR*.

    Example: spikeproof train --preset cifar-srstar-small --data cifar10:data --out runs/c

    Example: spikeproof train --preset cifar-srstar-small --data cifar10:data --init runs/c
    --set epochs=2 --set learning_rate=0.01 --out runs/c-longer
    """
    from ..datasets.images import load
    from ..train.loop import run
    from ..train.processes import is_follower

    with _one_voice():
        recipe = _recipe(preset, config, set_ or [], seed)
        tracker = RichTracker()
        frames = recipe.network.frames
        read = load(data, limit=limit, frames=frames, mend=repair, tracker=tracker)
        network = recipe.network.network(read)
        result = run(
            recipe.train,
            network if init is None else _further(init, network),
            read,
            out,
            device=full_float_device(device),
            devices=devices,
            nodes=nodes,
            resume=resume,
            tensorboard=tensorboard,
            tracker=tracker,
        )
    if is_follower():
        return
    found = {
        "out": str(result.folder),
        "epochs": result.epochs,
        "best": result.best,
        "last": result.metrics[-1] if result.metrics else None,
        "config": recipe.train.to_dict(),
    }
    lines = [*left_out(read), f"wrote {result.folder} after {result.epochs} epochs"]
    lines += [f"{key:22} {value}" for key, value in (result.best or found["last"] or {}).items()]
    show(found, as_json=json, lines=lines)


def _further(init: Path, asked: "NetworkConfig") -> "SpikingNetwork":
    """The network of a checkpoint, to be trained further; its statistics of the data stay.

    Raises:
        ConfigError: If the recipe is for another network.
    """
    from ..train.checkpoint import load

    network = load(init)
    ours, theirs = network.config.to_dict(), asked.to_dict()
    differing = sorted(k for k in ours.keys() - {"mean", "std"} if ours[k] != theirs[k])
    if differing:
        key = differing[0]
        raise ConfigError(
            f"expected a recipe for the network of {init}, got another {key} {theirs[key]} (it has "
            f"{ours[key]}); choose its preset, or --set {key}"
        )
    return network.train()


@contextmanager
def _one_voice() -> Iterator[None]:
    """Among the processes of one training, only the first says what went wrong."""
    from ..train.processes import is_follower

    try:
        yield
    except SpikeproofError as error:
        if is_follower():
            raise typer.Exit(error.exit_code) from error
        raise


def _recipe(
    preset_name: str | None, config: Path | None, settings: list[str], seed: int | None
) -> "Recipe":
    from ..train.config import Recipe, change, parse_settings, read_toml
    from ..train.presets import preset

    if preset_name is not None and config is not None:
        raise ConfigError("expected --preset or --config, got both; give one of them")
    if preset_name is None and config is None:
        raise ConfigError("expected --preset or --config, got neither; give one of them")
    recipe = preset(preset_name) if preset_name is not None else Recipe()
    if config is not None:
        recipe = change(recipe, read_toml(config))
    recipe = change(recipe, parse_settings(settings))
    return recipe if seed is None else change(recipe, {"seed": seed})
