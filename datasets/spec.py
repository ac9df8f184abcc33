"""Data SPECs: `kind` or `kind:argument`, as a user writes them."""

from dataclasses import dataclass
from pathlib import Path

from ..core.errors import ConfigError

IMAGE_KINDS: dict[str, str | None] = {
    "digits": None,
    "npz": "FILE",
    "cifar10": "DIR",
    "cifar100": "DIR",
    "mnist": "DIR",
    "fashion-mnist": "DIR",
}
"""Kinds of images, with what their argument is."""

EVENT_KINDS: dict[str, str | None] = {
    "nmnist": "DIR",
    "cifar10-dvs": "DIR",
    "dvs-gesture": "DIR",
    "aedat": "DIR",
    "mnist-pairs": "DIR",
    "mnist-pairs-recordings": "DIR",
    "mnist-pairs-pictures": "DIR",
}
"""Kinds whose recordings of events become frames; of pairs, the pictures do as well."""

KINDS = IMAGE_KINDS | EVENT_KINDS


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """A data set that can be read: its kind, and the path where the kind takes one."""

    kind: str
    path: Path | None = None


def parse_spec(text: str) -> DataSpec:
    """Splits `kind:argument` at its first colon; `~` in a path is the home folder.

    Raises:
        ConfigError: If the kind is unknown, the argument is missing, or there is one too many.
    """
    kind, colon, argument = text.partition(":")
    if kind not in KINDS:
        raise ConfigError(f"expected a data set among {known_specs()}, got {text!r}; name one")
    wanted = KINDS[kind]
    if wanted is None and colon:
        raise ConfigError(f"expected {kind!r} without an argument, got {text!r}; write {kind!r}")
    if wanted is None:
        return DataSpec(kind=kind)
    if not argument:
        raise ConfigError(f"expected {kind}:{wanted}, got {text!r}; say where the data lies")
    return DataSpec(kind=kind, path=Path(argument).expanduser())


def known_specs() -> str:
    """The SPECs that can be read, for messages and help."""
    return ", ".join(form(kind, argument) for kind, argument in KINDS.items())


def form(kind: str, argument: str | None) -> str:
    """How a SPEC of this kind is written."""
    return kind if argument is None else f"{kind}:{argument}"
