"""One training in several processes: what each of them sees, and what they add up."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from ..core.errors import SpikeproofError

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class Share:
    """The samples of one batch that a process sees: every `world`-th, from `rank` on.

    A process without any takes the first one as a stand-in, of weight 0, because all have to reach
    the same sums.

    Args:
        count: Samples of the whole batch.
        rank: Of the process.
        world: Number of processes.
    """

    count: int
    rank: int
    world: int

    @property
    def weight(self) -> float:
        """What the mean over the samples seen here counts for in the mean over all."""
        return len(range(self.rank, self.count, self.world)) / self.count

    def of(self, whole: Tensor) -> Tensor:
        """The part of a whole batch that is seen here."""
        return whole[self.rank :: self.world] if self.weight else whole[:1]


@dataclass(frozen=True, kw_only=True)
class Team:
    """The processes of a training, or a single one.

    Args:
        rank: Of this process; 0 writes the files.
        world: Number of processes.
    """

    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def share(self, count: int) -> Share:
        """What this process sees of a batch of `count` samples."""
        return Share(count=count, rank=self.rank, world=self.world)

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Replaces each tensor by its sum over the processes, in place; all of one dtype."""
        kept = list(tensors)
        if self.world == 1 or not kept:
            return
        flat = torch.cat([tensor.detach().flatten() for tensor in kept])
        distributed.all_reduce(flat)
        with torch.no_grad():
            for tensor, total in zip(kept, flat.split([t.numel() for t in kept]), strict=True):
                tensor.copy_(total.view_as(tensor))

    def total(self, count: int, device: torch.device) -> int:
        """The sum of a count over the processes."""
        value = torch.tensor([count], device=device)
        self.add_up([value])
        return int(value.item())

    def spread(self, tensors: Iterable[Tensor]) -> None:
        """Replaces each tensor by that of the first process, in place."""
        if self.world > 1:
            for tensor in tensors:
                distributed.broadcast(tensor.detach(), src=0)

    def first(self, work: Callable[[], Answer]) -> Answer:
        """Does something in the first process alone; its answer, or its error, is everybody's."""
        if self.world == 1:
            return work()
        said: list[Any] = [self._attempt(work) if self.is_first else None]
        distributed.broadcast_object_list(said, src=0)
        answer, error = said[0]
        if error is not None:
            raise error
        return answer

    def _attempt(self, work: Callable[[], Answer]) -> tuple[Answer | None, SpikeproofError | None]:
        try:
            return work(), None
        except SpikeproofError as error:
            return None, error


ALONE = Team()
"""A single process."""
