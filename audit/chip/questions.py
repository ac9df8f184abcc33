"""All that only a chip is asked, in one section of audit.json."""

from typing import Any

from ...attacks.suite import crossed
from ..config import CURVE_ATTACK
from .asked import CLIMB, Asked
from .faults import DRAWS, faults
from .registers import headroom
from .sponge import PRICED, sponge


def chip_only(asked: Asked, *, confidence: float) -> dict[str, Any]:
    """Registers driven to their ends, sponges, flipped bits, lost spikes.

    Args:
        asked: A chip and images.
        confidence: Of every interval.
    """
    registers = headroom(asked)
    crafted = crossed([CURVE_ATTACK], [asked.estimator])
    return {
        "n": len(asked.samples),
        "attack": f"{CLIMB.name} {asked.estimator}",
        "adversarial": f"{CURVE_ATTACK} {asked.estimator}, the point of largest loss",
        "draws": DRAWS,
        "priced": PRICED,
        "certificate_holds": all(row["holds"] for row in registers),
        "registers": registers,
        "sponge": sponge(asked, confidence=confidence),
        **faults(asked, crafted, confidence=confidence),
    }
