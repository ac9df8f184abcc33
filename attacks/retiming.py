"""Events moved in time, none added and none taken away (Yu et al., Spike Retiming Attacks)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from .attack import require_positive
from .events import EventAttack
from .moves import moved, ranked_moves, soft_moved, within
from .trial import Trial

Norm = Literal["inf", "1", "0"]
CAPACITY_PENALTY = 20.0
BUDGET_PENALTY = 10.0
LIMIT = 10.0
"""Of |p|."""
START = 4.0


@dataclass(frozen=True, kw_only=True)
class Retiming(EventAttack):
    """Moves what a cell counted, as a packet, to another step at the same place and polarity.

        π = softmax(p);  p ← clip(p + sign ∂[CE − 20·mean relu(n − 1)² − 10·relu(c − B)/B]/∂p, ±10)

    over the target steps of each packet, with n the packets expected in a cell and c the expected
    cost. The network sees lawful moves, taken in falling order of π while they fit; gradients go
    through the soft move Σ π·x. Counts are conserved, no two packets meet, and none enters a cell
    that its own packet has not left: what Yu et al. call capacity 1.

    Args:
        norm: `inf` bounds how far each packet moves, `1` the steps of all together, `0` how many
            packets move.
        limit: B of that norm.
    """

    norm: Norm
    limit: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, limit=self.limit)

    @property
    def budget(self) -> str:
        """What it may change at most, in words."""
        return {
            "inf": f"packets of events moved by up to {self.limit} steps",
            "1": f"packets of events moved by {self.limit} steps together",
            "0": f"{self.limit} packets of events moved",
        }[self.norm]

    def _run(self, trial: Trial, draws: list[np.random.Generator]) -> None:
        del draws
        steps = trial.threat.require_cells().steps
        x = trial.images.unflatten(1, (steps, -1)).flatten(2)
        far = _distances(steps, x.device)
        lawful = far <= (self.limit if self.norm == "inf" else steps)
        p = START * (far <= 1).to(x) * torch.ones_like(x)[..., None].movedim(-1, 2)
        for _ in range(self.steps):
            if trial.is_over:
                return
            hard = self._seen(x, p, lawful).view_as(trial.images)
            _, gradient = trial.differentiate(hard)
            upwards = gradient.view_as(x)
            p = (p + self._ascent(x, p, far, lawful, upwards).sign()).clamp(-LIMIT, LIMIT)
        trial.judge(self._seen(x, p, lawful).view_as(trial.images))

    def _seen(self, x: Tensor, p: Tensor, lawful: Tensor) -> Tensor:
        share = _shares(p, lawful)
        moves = ranked_moves(x > 0, share)
        if self.norm != "inf":
            cost = moves.distance if self.norm == "1" else torch.ones_like(moves.distance)
            moves = within(moves, cost=cost, budget=self.limit)
        return moved(x, moves)

    def _ascent(
        self, x: Tensor, p: Tensor, far: Tensor, lawful: Tensor, upwards: Tensor
    ) -> Float[Tensor, "N S T cells"]:
        """∂/∂p of what is climbed."""
        with torch.enable_grad():
            p = p.detach().requires_grad_(True)
            share = _shares(p, lawful)
            is_there = (x > 0).to(x)
            crowd = (soft_moved(is_there, share) - 1).clamp(min=0).square().flatten(1).mean(1)
            gain = (soft_moved(x, share) * upwards).flatten(1).sum(1) - CAPACITY_PENALTY * crowd
            if self.norm != "inf":
                cost = far if self.norm == "1" else (far > 0)
                spent = (share * cost * is_there[:, :, None]).flatten(1).sum(1)
                gain = gain - BUDGET_PENALTY * (spent - self.limit).clamp(min=0) / self.limit
            (found,) = torch.autograd.grad(gain.sum(), p)
        return found


def _distances(steps: int, device: torch.device) -> Int64[Tensor, "S T 1"]:
    """|Δ| from a step to a step."""
    step = torch.arange(steps, device=device)
    return (step[:, None] - step).abs()[..., None]


def _shares(p: Tensor, lawful: Tensor) -> Float[Tensor, "N S T cells"]:
    return p.masked_fill(~lawful, -torch.inf).softmax(dim=2)
