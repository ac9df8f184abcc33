"""What the attacks on recordings share: they move or change whole events of frames."""

from abc import ABC
from dataclasses import dataclass, field
from typing import ClassVar

from .attack import Attack


@dataclass(frozen=True, kw_only=True)
class EventAttack(Attack, ABC):
    """An attack on frames of events, with a budget of its own in place of epsilon and a step."""

    step_size: None = field(default=None, init=False)

    is_random: ClassVar[bool] = False
    counts_last: ClassVar[bool] = False
    needs_frames: ClassVar[bool] = True
