"""Whether a program fits a chip: cores and chips it needs, how full they are, what does not fit."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..core.errors import MisfitError
from ..sim.program import Population, Program
from .chip_file import FIGURES, Chip, signed
from .placement import Placement, place
from .tiles import Tiling

SHARED = "a core stores a convolution's kernel once for each output channel of its box"


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """Something that the chip does not hold.

    Args:
        node: A population or a source.
        what: What of it, and what the chip has.
    """

    node: str
    what: str


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A program on a chip."""

    chip: Chip
    placement: Placement
    misfits: tuple[Misfit, ...]

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        chip = self.chip
        return {
            "chip": chip.name,
            "fits": not self.misfits,
            "cores_alone": self.placement.cores_alone,
            "cores": self.placement.cores,
            "chips": self.placement.chips(chip),
            "populations": [_row(t, chip) for t in self.placement.tilings],
            "misfits": [asdict(m) for m in self.misfits],
            "not_published": [name for name in FIGURES if getattr(chip, name) is None],
            "assumed": [*chip.assumed, SHARED],
        }


def fit(program: Program, chip: Chip) -> Fit:
    """Places a program on a chip and checks every field's width."""
    placement = place(program, chip)
    return Fit(chip=chip, placement=placement, misfits=tuple(_misfits(program, chip, placement)))


def require_fit(found: Fit) -> None:
    """Refuses what does not fit.

    Raises:
        MisfitError: Naming the first node and what it lacks.
    """
    if found.misfits:
        first = found.misfits[0]
        raise MisfitError(
            f"expected the network to fit {found.chip.title}, got {first.node}: {first.what}"
            f"{_others(len(found.misfits) - 1)}; `spikeproof fit` lists all, make it smaller"
        )


def lines(found: dict[str, object]) -> list[str]:
    """A fit report (`Fit.to_json`) for people."""
    rows, misfits, absent, assumed = (
        found[key] for key in ("populations", "misfits", "not_published", "assumed")
    )
    assert isinstance(rows, list)
    assert isinstance(misfits, list)
    assert isinstance(absent, list)
    assert isinstance(assumed, list)
    head = f"{'population':14} {'box':>12} {'cores':>6}  share of a core: neurons, memory, axons"
    return [
        f"{found['chip']}: {found['chips']} chips, {found['cores']} cores "
        f"({found['cores_alone']} if no two populations share one)",
        head,
        *(
            f"{row['name']:14.14} {'x'.join(map(str, row['box'])):>12} {row['boxes']:6}  "
            f"{', '.join(_percent(share) for share in row['utilisation'].values())}"
            for row in rows
        ),
        *(f"does not fit: {m['node']}: {m['what']}" for m in misfits),
        *([f"not published, not checked: {', '.join(absent)}"] if absent else []),
        f"assumed: {'; '.join(assumed)}",
    ]


def _percent(share: float | None) -> str:
    return "not published" if share is None else f"{share:.0%}"


def _others(count: int) -> str:
    return f" (and {count} more)" if count else ""


def _row(tiling: Tiling, chip: Chip) -> dict[str, object]:
    limits = {key: getattr(chip, f"{key}_per_core") for key in vars(tiling.demand)}
    return {
        "name": tiling.population,
        "box": list(tiling.box),
        "boxes": tiling.count,
        "demand": asdict(tiling.demand),
        "utilisation": {
            key: None if not limits[key] else round(value / limits[key], 4)
            for key, value in vars(tiling.demand).items()
        },
    }


def _misfits(program: Program, chip: Chip, placement: Placement) -> Iterator[Misfit]:
    for source in program.sources:
        low, high = (source.low, source.high) if source.is_graded else (0, 1)
        if chip.payload_bits is not None and not _holds(chip.payload_bits, low, high):
            kind = f"{chip.payload_bits} bits" if chip.payload_bits else "binary spikes"
            yield Misfit(node=source.name, what=f"payloads {low}..{high} of {kind}")
    for population, tiling in zip(program.populations, placement.tilings, strict=True):
        beyond = tiling.demand.beyond(chip).items()
        needs = (f"{getattr(tiling.demand, k)} {k.replace('_', ' ')} of {n}" for k, n in beyond)
        for what in (*_fields(program, population, chip), *needs):
            yield Misfit(node=population.name, what=what)


def _holds(bits: int, low: int, high: int) -> bool:
    if not bits:
        return low >= 0 and high <= 1
    least, most = signed(bits)
    return least <= low and high <= most


def _fields(program: Program, population: Population, chip: Chip) -> Iterator[str]:
    """Numbers of a population and its synapses beyond their fields."""
    for bits, least, most, values, what in _ranges(program, population, chip):
        low, high = int(np.min(values, initial=0)), int(np.max(values, initial=0))
        if low < least or high > most:
            yield f"{what} {low}..{high} of {least}..{most} ({bits} bits)"


def _ranges(
    program: Program, population: Population, chip: Chip
) -> Iterator[tuple[int, int, int, ArrayLike, str]]:
    """Width, least, greatest, values and name of every field that the chip states."""
    p = population
    if (bits := chip.threshold_bits) is not None:
        yield bits, 0, (1 << bits) - 1, p.vth, "thresholds"
    if (bits := chip.decay_bits) is not None:
        # A bit of its own makes the greatest decay forget everything.
        yield bits, 0, 1 << bits, np.hstack([np.ravel(p.du), np.ravel(p.dv)]), "decays"
    if (bits := chip.bias_bits) is not None and p.bias is not None:
        yield bits, *signed(bits), p.bias, "bias mantissas"
    for synapse in program.into(p.name):
        if (bits := chip.weight_bits) is not None:
            mixed = synapse.weight.min(initial=0) < 0 < synapse.weight.max(initial=0)
            most = (1 << bits) - (2 if mixed else 1)
            yield bits, -(1 << bits), most, synapse.weight, f"weights from {synapse.source}"
        if (bits := chip.delay_bits) is not None:
            most = max((1 << bits) - 2, 0)
            yield bits, 0, most, synapse.delay, f"delays from {synapse.source}"
