"""A program on the cores of a chip: populations cut into boxes, boxes packed onto cores."""

from dataclasses import dataclass

from ..sim.components import components
from ..sim.program import Population, Program
from .chip_file import Chip
from .tiles import Box, Cutter, Demand, Tiling


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where everything goes.

    Args:
        tilings: Of each population, in the program's order.
        cores_alone: Cores where each holds one box.
        cores: Cores where boxes share one, as far as they fit together.
    """

    tilings: tuple[Tiling, ...]
    cores_alone: int
    cores: int

    def chips(self, chip: Chip) -> int | None:
        """Chips that hold the cores; None where a chip's cores are not published."""
        return None if not chip.cores else -(-self.cores // chip.cores)


def place(program: Program, chip: Chip) -> Placement:
    """Cuts every population into the fewest boxes that fit, and packs the boxes.

    Targets are cut before what sends to them, because every core that listens costs an axon; in a
    loop, where each is the other's target, all are cut twice.
    """
    boxes: dict[str, Box] = {}
    for group in reversed(components(program)):
        for _ in range(2 if _loops(program, group) else 1):
            for p in group:
                boxes[p.name] = Cutter(program, p, chip, boxes).fewest().box
    tilings = [Cutter(program, p, chip, boxes).cut(boxes[p.name]) for p in program.populations]
    return Placement(
        tilings=tuple(tilings),
        cores_alone=sum(t.count for t in tilings),
        cores=_packed(tilings, chip),
    )


def _loops(program: Program, group: tuple[Population, ...]) -> bool:
    names = {p.name for p in group}
    return any({s.source, s.target} <= names for s in program.synapses)


def _packed(tilings: list[Tiling], chip: Chip) -> int:
    """Cores, each box on the first that has room, the largest first.

    Boxes that fit no core count one each.
    """
    cores: list[Demand] = []
    misfits = sum(t.count for t in tilings if t.demand.beyond(chip))
    fitting = [t for t in tilings if not t.demand.beyond(chip)]
    for tiling in sorted(fitting, key=_size, reverse=True):
        start = 0  # the first core with room for one of equal boxes: none before it has any
        for _ in range(tiling.count):
            start = _first_with_room(cores, tiling.demand, chip, start)
            cores[start:] = [_added(cores, start, tiling.demand), *cores[start + 1 :]]
    return len(cores) + misfits


def _size(tiling: Tiling) -> tuple[int, int]:
    return tiling.demand.memory_bits, tiling.demand.neurons


def _first_with_room(cores: list[Demand], demand: Demand, chip: Chip, start: int) -> int:
    rooms = (k for k in range(start, len(cores)) if not (cores[k] + demand).beyond(chip))
    return next(rooms, len(cores))


def _added(cores: list[Demand], index: int, demand: Demand) -> Demand:
    return cores[index] + demand if index < len(cores) else demand
