"""Networks trained apart from the audited one: where black-box attacks come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..attacks.target import FunctionTarget, Target
from ..core.errors import DataError
from ..core.files import read_json, sha256
from ..train.checkpoint import checkpoint_file
from ..train.checkpoint import load as load_checkpoint
from ..train.network import SpikingNetwork
from ..train.run_folder import CONFIG
from ..train.target import NetworkTarget


@dataclass(frozen=True, kw_only=True)
class Sources:
    """By name, what is attacked and what an audit writes down about it."""

    targets: dict[str, Target]
    context: dict[str, Any]


def load_sources(paths: Sequence[Path], audited: Path, *, device: str = "cpu") -> Sources:
    """Opens networks whose attacks are carried over to another one.

    Args:
        paths: Folders of trainings, or checkpoints in them.
        audited: That of the audited network.
        device: Where they run.

    Raises:
        DataError: If one was not trained apart (it has the seed of the audited network or of
            another source, hence its first weights and its order of data), or answers another
            question.
        FormatError: If a file is damaged.
    """
    asked, seeds = load_checkpoint(audited), {_recipe(audited)["seed"]: audited}
    targets: dict[str, Target] = {}
    context: dict[str, Any] = {}
    for number, path in enumerate(paths, start=1):
        network, recipe = load_checkpoint(path).to(device), _recipe(path)
        _check_question(path, network, asked)
        seed = recipe["seed"]
        if seed in seeds:
            raise DataError(
                f"expected a source trained apart from {seeds[seed]}, got {path} with the same "
                f"seed {seed}; train it with another, as the presets *-source-* do"
            )
        seeds[seed] = path
        config = network.config
        name = f"source{number}-{config.architecture}-{config.neuron}"
        targets[name] = _target(network, name)
        context[name] = {
            "architecture": config.architecture,
            "neuron": config.neuron,
            "steps": config.steps,
            "method": recipe["method"],
            "seed": seed,
            "checkpoint_sha256": sha256(checkpoint_file(path)),
        }
    return Sources(targets=targets, context={"sources": context} if context else {})


def _target(network: SpikingNetwork, name: str) -> Target:
    if network.config.neuron == "relu":
        return FunctionTarget(network.eval().requires_grad_(False), name=name)
    return NetworkTarget(network, name=name)


def _recipe(path: Path) -> dict[str, Any]:
    """How a network was trained.

    Raises:
        DataError: If nothing says so.
    """
    written = checkpoint_file(path).parent / CONFIG
    if not written.is_file():
        raise DataError(
            f"expected {CONFIG} of its training beside {path}, got none, so that nothing says "
            "whether two networks were trained apart; name the folder of the training"
        )
    return read_json(written)["train"]


def _check_question(path: Path, source: SpikingNetwork, audited: SpikingNetwork) -> None:
    for key in ("input_shape", "classes", "encoding", "frames"):
        expected, got = (getattr(n.config, key) for n in (audited, source))
        if got != expected:
            raise DataError(
                f"expected a source with {key} {expected}, as the audited network, got {got} in "
                f"{path}; train it on the same data"
            )
