"""Networks in files: weights and buffers as safetensors, the network's config in their header."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from ..core.errors import ConfigError, FormatError
from ..core.files import write_bytes
from .fields import convert_fields, field_types
from .network import NetworkConfig, SpikingNetwork
from .trainable import Trainable

BEST, LAST = "best.safetensors", "last.safetensors"

HEADER = "spikeproof"
"""The one metadata key: safetensors writes several in no fixed order."""


def save(path: Path, network: Trainable) -> None:
    """Writes a network's weights and buffers, whole or not at all."""
    write_tensors(path, network.state_dict(), {"network": network.config.to_dict()})


def digest(network: Trainable) -> str:
    """SHA-256 of a network's weights and buffers, with their names, in order."""
    found = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        found.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def load(path: Path) -> SpikingNetwork:
    """The network of a training folder (best if there, else last) or of one of its files.

    Returns:
        On the CPU, in evaluation mode.

    Raises:
        FormatError: If the file is absent, truncated or foreign, its tensors do not fit the
            network it describes, or one holds a number that is not finite.
    """
    file = checkpoint_file(Path(path))
    tensors, header = read_tensors(file)
    config = network_config(header.get("network"), file)
    network = _empty(config, file)
    _check_tensors(tensors, network.state_dict(), file)
    network.load_state_dict(tensors)
    return network.eval()


def network_config(values: Any, file: Path) -> NetworkConfig:
    """The config in a file's header.

    Raises:
        FormatError: If it is missing or unlawful.
    """
    if not isinstance(values, Mapping):
        raise FormatError(
            f"expected the config of a network in {file}, got {values!r}; "
            "pass a checkpoint that train wrote"
        )
    try:
        return NetworkConfig(**convert_fields(values, field_types(NetworkConfig)))
    except (ConfigError, TypeError) as error:
        raise FormatError(
            f"expected the config of a network in {file}, got {error}; "
            "pass a checkpoint of this version"
        ) from error


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Writes tensors with a JSON header, whole or not at all."""
    words = json.dumps(header, sort_keys=True, allow_nan=False)
    values = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, to_bytes(values, metadata={HEADER: words}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a file that `write_tensors` wrote.

    Raises:
        FormatError: If it is absent, truncated or foreign.
    """
    try:
        with safe_open(path, framework="pt") as file:
            words = (file.metadata() or {}).get(HEADER)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = json.loads(words) if words is not None else None
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise FormatError(
            f"expected a safetensors file at {path}, got {error}; "
            "it is absent, truncated or foreign: copy it again"
        ) from error
    if not isinstance(header, dict):
        raise FormatError(
            f"expected a safetensors file with a {HEADER!r} header at {path}, got none; "
            "pass a checkpoint that train wrote"
        )
    return tensors, header


def checkpoint_file(path: Path) -> Path:
    """The file that `load` reads for a training folder or a file.

    Raises:
        FormatError: If there is none.
    """
    if path.is_file():
        return path
    for name in (BEST, LAST):
        if (path / name).is_file():
            return path / name
    found = "a folder without either" if path.is_dir() else "no such path"
    raise FormatError(
        f"expected {BEST} or {LAST} in {path}, or a .safetensors file, got {found}; "
        "pass the folder that train wrote"
    )


def _empty(config: NetworkConfig, file: Path) -> SpikingNetwork:
    """A network whose weights are to be replaced; the caller's random state stays as it was."""
    try:
        with torch.random.fork_rng(devices=[]):
            return SpikingNetwork(config)
    except ConfigError as error:
        raise FormatError(f"expected a network of this version in {file}, got {error}") from error


def _check_tensors(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], file: Path
) -> None:
    if set(tensors) != set(expected):
        missing, extra = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
        raise FormatError(
            f"expected the tensors of its network in {file}, got missing {missing} and unknown "
            f"{extra}; pass an unmodified checkpoint"
        )
    for name, tensor in tensors.items():
        wanted = expected[name]
        if tensor.shape != wanted.shape or tensor.dtype != wanted.dtype:
            raise FormatError(
                f"expected tensor {name!r} of {file} as {wanted.dtype} {list(wanted.shape)}, got "
                f"{tensor.dtype} {list(tensor.shape)}; pass an unmodified checkpoint"
            )
        if not bool(torch.isfinite(tensor).all()):
            raise FormatError(
                f"expected finite numbers in tensor {name!r} of {file}, got NaN or infinity; "
                "the training diverged or the file is damaged"
            )
