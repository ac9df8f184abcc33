"""A `.net` file as far as it has been read: what its layers add to, and what they ask of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from ...core.errors import FormatError
from ..program import Population, Program, Source, Synapse

INPUT = "input"
"""Name of the external input."""
AS_LAVA = "computed as Lava does"


def misfit(what: str, changes: Iterable[str]) -> str:
    """The one line that tells what of a layer, or of the input, does not fit the chip."""
    return f"expected {what} to fit the chip, got {'; '.join(changes)}; {AS_LAVA}"


@dataclass
class Build:
    """The network as far as it has been read.

    Args:
        path: The file, for messages.
        message_bits: Above 0, external input is a payload that multiplies.
        payload: Least and greatest payload.
        has_input: Whether an `input` layer was read.
        declared: The shape that it states where it is no input block; a convolution needs it.
        shape_kind: The type in which the file states the shape of what the next layer gets.
        is_flattened: Whether a `flatten` was read that no dense layer has used up yet.
    """

    path: str
    message_bits: int
    payload: tuple[int, int]
    sources: list[Source] = field(default_factory=list)
    populations: list[Population] = field(default_factory=list)
    synapses: list[Synapse] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    has_input: bool = False
    declared: tuple[int, ...] | None = None
    shape_kind: np.dtype = field(default_factory=lambda: np.dtype(np.int64))
    is_flattened: bool = False

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Of what the next layer gets, where it is known."""
        return self.populations[-1].shape if self.populations else self.declared

    def entry(self, shape: tuple[int, ...]) -> str:
        """Name of what feeds the next layer; the external input comes into being here."""
        if self.populations:
            return self.populations[-1].name
        low, high = self.payload if self.message_bits else (0, 1)
        self.sources.append(
            Source(name=INPUT, shape=shape, low=low, high=high, message_bits=self.message_bits)
        )
        return INPUT

    def peak(self, name: str) -> int:
        """Greatest size of a value that a layer gets."""
        is_external = bool(self.sources) and self.sources[0].name == name
        return max(map(abs, self.payload)) if is_external and self.message_bits else 1

    def add(self, population: Population, changes: list[str]) -> None:
        """Adds the next population, numbered and phased by its place."""
        self.populations.append(replace(population, phase=len(self.populations)))
        if changes:
            self.warnings.append(misfit(f"{population.name} of {self.path}", changes))

    def program(self) -> Program:
        """The whole network.

        Raises:
            FormatError: If no layer has neurons.
        """
        if not self.populations:
            raise FormatError(
                f"expected a layer with neurons in {self.path}, got none; add a conv or dense layer"
            )
        return Program(
            sources=tuple(self.sources),
            populations=tuple(self.populations),
            synapses=tuple(self.synapses),
            outputs=(self.populations[-1].name,),
        )
