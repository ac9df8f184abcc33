"""Chips: what one holds, each figure with its source, read from TOML that comes along or a user's.

A figure that is not published has no value, and nothing is checked against it.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ..core.choice import chosen
from ..core.errors import ConfigError

COSTS = ("synaptic_operation", "neuron_update", "message", "step")
"""Operations whose energy and time a chip may state."""
LARGEST = 1 << 40


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One operation.

    Args:
        energy: From, to; picojoules.
        time: From, to; nanoseconds.
        source: Where it is published.
    """

    energy: tuple[float, float]
    time: tuple[float, float]
    source: str


@dataclass(frozen=True, kw_only=True)
class Chip:
    """A chip of equal cores.

    Args:
        name, title: What files and people call it.
        cores: How many it has.
        neurons_per_core: Most neurons of a core.
        memory_bits_per_core: What the weights of a core share, with its neurons' `neuron_bits`.
        neuron_bits: Of that memory, taken by each neuron.
        input_axons_per_core: Most neurons, of other cores or its own, that a core listens to.
        output_axons_per_core: Most pairs of a neuron of the core and a core that it sends to.
        weight_bits: Of a stored weight; the sign is the synapse's, and costs one of both signs
            its last bit.
        threshold_bits, decay_bits, delay_bits: Widths of fields without sign.
        bias_bits, state_bits: Widths of fields with sign.
        payload_bits: Of a graded spike; 0 where spikes are binary.
        sources: Where each figure is published.
        assumed: Figures that are not published but assumed.
        costs: Energy and time by operation, among `COSTS`.
    """

    name: str
    title: str
    cores: int | None
    neurons_per_core: int | None
    memory_bits_per_core: int | None
    neuron_bits: int | None
    input_axons_per_core: int | None
    output_axons_per_core: int | None
    weight_bits: int | None
    threshold_bits: int | None
    decay_bits: int | None
    bias_bits: int | None
    state_bits: int | None
    delay_bits: int | None
    payload_bits: int | None
    sources: Mapping[str, str]
    assumed: tuple[str, ...] = ()
    costs: Mapping[str, Cost] = field(default_factory=dict)


def signed(bits: int) -> tuple[int, int]:
    """Least and greatest number of a field with sign; a field of no bits holds 0."""
    half = 1 << bits >> 1
    return -half, max(half - 1, 0)


FIGURES = tuple(f.name for f in fields(Chip) if f.type == int | None)


def known_chips() -> dict[str, Path]:
    """Files of the chips that come along, by name."""
    folder = Path(__file__).parent / "chips"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def chip_named(name: str) -> Chip:
    """A chip that comes along, or that a `.toml` file describes.

    Raises:
        ConfigError: If there is none, or the file does not describe one.
    """
    if name.endswith(".toml"):
        return read_chip(Path(name))
    advice = "choose one of them, or give a .toml file"
    return read_chip(chosen(known_chips(), name, what="a chip", advice=advice))


def read_chip(path: Path) -> Chip:
    """Reads a chip's description.

    Raises:
        ConfigError: If it is absent, no TOML, or lacks a figure, or one has no source.
    """
    try:
        stated = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"expected a chip's .toml file at {path}, got none that can be read ({error.strerror})"
            f"; correct the path"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"expected TOML in {path}, got {error}; correct it") from error
    return _chip(stated, path)


def _chip(stated: dict[str, Any], path: Path) -> Chip:
    _expect_keys(stated, required=("name", "title", "figures"), optional=("costs",), where=path)
    given, costs = stated["figures"], stated.get("costs", {})
    _expect_keys(given, required=FIGURES, optional=(), where=f"[figures] of {path}")
    _expect_keys(costs, required=(), optional=COSTS, where=f"[costs] of {path}")
    for name in FIGURES:
        _check_figure(given[name], f"[figures.{name}] of {path}")
    return Chip(
        name=_text(stated["name"], f"name in {path}"),
        title=_text(stated["title"], f"title in {path}"),
        **{name: given[name].get("value") for name in FIGURES},
        sources={name: given[name]["source"] for name in FIGURES},
        assumed=tuple(name for name in FIGURES if given[name].get("assumed")),
        costs={name: _cost(cost, f"[costs.{name}] of {path}") for name, cost in costs.items()},
    )


def _expect_keys(
    stated: Any, *, required: tuple[str, ...], optional: tuple[str, ...], where: object
) -> None:
    if not isinstance(stated, dict):
        raise ConfigError(f"expected a table at {where}, got {stated!r}; write [figures.NAME]")
    missing = [name for name in required if name not in stated]
    unknown = [name for name in stated if name not in (*required, *optional)]
    if missing or unknown:
        wrong = f"no {missing[0]}" if missing else f"an unknown {unknown[0]!r}"
        raise ConfigError(
            f"expected {', '.join((*required, *optional))} in {where}, got {wrong}; correct it"
        )


def _check_figure(figure: Any, where: str) -> None:
    _expect_keys(figure, required=("source",), optional=("value", "assumed"), where=where)
    _text(figure["source"], f"source in {where}")
    value, assumed = figure.get("value", 0), figure.get("assumed", False)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not 0 <= value < LARGEST or not isinstance(assumed, bool):
        raise ConfigError(
            f"expected a whole number of at least 0 as value, and true or false as assumed, in "
            f"{where}, got {value!r} and {assumed!r}; leave value out where it is not published"
        )


def _cost(cost: Any, where: str) -> Cost:
    _expect_keys(cost, required=("energy", "time", "source"), optional=(), where=where)
    return Cost(
        energy=_range(cost["energy"], f"energy in {where}"),
        time=_range(cost["time"], f"time in {where}"),
        source=_text(cost["source"], f"source in {where}"),
    )


def _range(value: Any, where: str) -> tuple[float, float]:
    numbers = isinstance(value, list) and all(
        isinstance(x, int | float) and not isinstance(x, bool) for x in value
    )
    if not numbers or len(value) != 2 or not 0 <= value[0] <= value[1] < float("inf"):
        raise ConfigError(f"expected [from, to] of at least 0 as {where}, got {value!r}; mend it")
    return float(value[0]), float(value[1])


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"expected text as {where}, got {value!r}; say where it is published")
    return value
