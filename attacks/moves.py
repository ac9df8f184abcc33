"""Packets of events that move in time: which moves fit together, and what they make of frames."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Moves:
    """Moves of each sample in the order in which they are taken; those not `taken` are none.

    Args:
        taken: Which of the listed moves happen.
        source: Steps that they leave.
        target: Steps that they enter.
        line: Place and polarity, the same before and after.
        share: π, which falls along the list.
    """

    taken: Bool[Tensor, "N moves"]
    source: Int64[Tensor, "N moves"]
    target: Int64[Tensor, "N moves"]
    line: Int64[Tensor, "N moves"]
    share: Float[Tensor, "N moves"]

    @property
    def distance(self) -> Int64[Tensor, "N moves"]:
        """Steps that each goes."""
        return (self.source - self.target).abs()


def ranked_moves(is_there: Bool[Tensor, "N S cells"], share: Float[Tensor, "N S T cells"]) -> Moves:
    """Moves that fit together, those of greatest share first.

    Line by line, in falling order of π: a packet whose turn it is to stay stays for good, one whose
    target is free at that moment moves and leaves its own step free.

    Args:
        is_there: Which cells have a packet.
        share: π of each packet's steps; none goes where that is 0.
    """
    samples, steps, lines = is_there.shape
    flat = share.flatten(1, 2)
    order = flat.argsort(dim=1, descending=True, stable=True)
    is_full, is_waiting = is_there.clone(), is_there.clone()
    found: list[tuple[Tensor, ...]] = []
    place = torch.arange(lines, device=share.device).expand(samples, lines)
    for turn in order.unbind(1):
        source, target = turn // steps, turn % steps
        here = is_waiting.gather(1, source[:, None])[:, 0]
        free = ~is_full.gather(1, target[:, None])[:, 0]
        value = flat.gather(1, turn[:, None])[:, 0]
        stays, moves = here & (source == target), here & free & (source != target) & (value > 0)
        is_waiting = is_waiting.scatter(1, source[:, None], (here & ~stays & ~moves)[:, None])
        is_full = _set(is_full, source, moves, value=False)
        is_full = _set(is_full, target, moves, value=True)
        found.append((moves, source, target, place, value))
    taken, source, target, line, value = (
        torch.cat(part, dim=1) for part in zip(*found, strict=True)
    )
    by_share = value.masked_fill(~taken, -1).argsort(dim=1, descending=True, stable=True)
    return Moves(
        taken=taken.gather(1, by_share),
        source=source.gather(1, by_share),
        target=target.gather(1, by_share),
        line=line.gather(1, by_share),
        share=value.gather(1, by_share),
    )


def within(moves: Moves, *, cost: Int64[Tensor, "N moves"], budget: int) -> Moves:
    """The first moves whose costs add up to the budget at most.

    A line's moves are listed in the order in which they were found to fit, so that the first of
    them fit without the rest.
    """
    spent = (cost * moves.taken).cumsum(1)
    return replace(moves, taken=moves.taken & (spent <= budget))


def moved(x: Float[Tensor, "N S cells"], moves: Moves) -> Float[Tensor, "N S cells"]:
    """Frames after the moves; every packet keeps its count."""
    lines = x.shape[2]
    flat = x.flatten(1)
    before, after = (step * lines + moves.line for step in (moves.source, moves.target))
    packet = flat.gather(1, before) * moves.taken
    return flat.scatter_add(1, before, -packet).scatter_add(1, after, packet).view_as(x)


def soft_moved(
    x: Float[Tensor, "N S cells"], share: Float[Tensor, "N S T cells"]
) -> Float[Tensor, "N T cells"]:
    """Σ over steps of π·x: where packets are expected."""
    return torch.einsum("nsc,nstc->ntc", x, share)


def _set(full: Tensor, step: Tensor, where: Tensor, *, value: bool) -> Tensor:
    """`full` with `value` at a step of each line, where it is wanted."""
    now = full.gather(1, step[:, None])
    changed = torch.where(where[:, None], torch.full_like(now, value), now)
    return full.scatter(1, step[:, None], changed)
