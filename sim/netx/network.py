"""`.net` files: lava-dl's netx networks as Programs, with what Lava makes of every number."""

from dataclasses import dataclass
from pathlib import Path

from ...core.errors import FormatError, UnsupportedNodeError
from ..hdf5 import Fields, listed, open_hdf5
from ..program import Program
from .build import Build
from .layers import LAYERS


@dataclass(frozen=True, kw_only=True)
class NetxNetwork:
    """A `.net` file as a Program.

    Args:
        program: Population k is `s{k}` of a trace; an external input is the source `input`.
        warnings: One line a layer whose numbers do not fit the chip and which Lava changes
            silently; the Program holds what Lava makes of them.
    """

    program: Program
    warnings: tuple[str, ...] = ()

    @property
    def is_bias_driven(self) -> bool:
        """Whether the first population is an input block that only its bias drives."""
        return not self.program.sources


def read_netx(
    path: Path,
    *,
    message_bits: int = 0,
    payload: tuple[int, int] = (0, 1),
) -> NetxNetwork:
    """Reads a `.net` file.

    Args:
        path: The file.
        message_bits: Above 0, external input is a payload that multiplies.
        payload: Least and greatest payload.

    Raises:
        FormatError: If the file is damaged or incomplete, or its layers do not fit together.
        UnsupportedNodeError: If a layer or neuron type is not known.
    """
    with open_hdf5(path) as file:
        root = Fields(file, str(path)).group("layer")
        build = Build(path=str(path), message_bits=message_bits, payload=payload)
        for index in range(_layer_count(root, str(path))):
            _add_layer(build, root.group(str(index)), index)
    return NetxNetwork(program=build.program(), warnings=tuple(build.warnings))


def _add_layer(build: Build, layer: Fields, index: int) -> None:
    kind = layer.text("type")
    if kind not in LAYERS:
        raise UnsupportedNodeError(
            f"expected layer {index} of {build.path} to be one of {', '.join(LAYERS)}, got "
            f"{kind!r}; Lava skips or refuses it, rewrite the network"
        )
    try:
        LAYERS[kind](build, layer, f"layer{index}")
    except MemoryError as error:
        raise FormatError(
            f"expected layer {index} of {build.path} to fit in memory, got none left; take a "
            f"machine with more, or make it smaller"
        ) from error


def _layer_count(root: Fields, path: str) -> int:
    names = set(root.names())
    if names != {str(index) for index in range(len(names))} or not names:
        raise FormatError(
            f"expected layers 0..n-1 in {path}, got {listed(sorted(names))}; number them without "
            f"a gap"
        )
    return len(names)
