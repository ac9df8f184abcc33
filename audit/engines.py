"""Who works on the shards of an audit: this process one after the other, or a cluster."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import pyarrow as pa

from ..core.errors import MissingAbilityError
from ..core.progress import Task
from .journal import Journal

if TYPE_CHECKING:
    from .plan import Plan

RETRIES = 3
"""How often a shard is done again whose worker was lost."""


@runtime_checkable
class Engine(Protocol):
    """Does shards of a plan."""

    def __call__(
        self, plan: "Plan", numbers: Sequence[int], journal: Journal, task: Task, /
    ) -> Iterator[tuple[int, pa.Table]]:
        """Number and rows of each shard, as they are finished."""
        ...


def local(
    plan: "Plan", numbers: Sequence[int], journal: Journal, task: Task
) -> Iterator[tuple[int, pa.Table]]:
    """One shard after the other in this process; pieces of an unfinished one are remembered."""
    for number in numbers:
        work = plan.shard(number)
        keep = plan.keeping(journal, number)
        yield number, work.measure(keep, advance=lambda name: task.advance(1, name))


def on_ray(
    plan: "Plan", numbers: Sequence[int], journal: Journal, task: Task
) -> Iterator[tuple[int, pa.Table]]:
    """Every shard as a task of a Ray cluster; a shard whose worker is lost is done again.

    Joins the cluster that `RAY_ADDRESS` names, else starts one on this machine.

    Raises:
        MissingAbilityError: If Ray is not installed.
    """
    del journal
    ray = _ray()
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False)
    shared, measure = ray.put(plan), ray.remote(max_retries=RETRIES)(_measured)
    waiting = {measure.remote(shared, number): number for number in numbers}
    while waiting:
        (done,), _ = ray.wait(list(waiting), num_returns=1)
        number = waiting.pop(done)
        yield number, ray.get(done)
        task.advance(plan.shard(number).pieces, f"shard {number}")


def _measured(plan: "Plan", number: int) -> pa.Table:
    return plan.shard(number).measure()


def _ray() -> Any:
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingAbilityError(
            f"expected Ray for the engine ray, got {error}; pip install 'spikeproof[scale]', or "
            "use --engine local"
        ) from error
    return ray


ENGINES: dict[str, Engine] = {"local": local, "ray": on_ray}
"""By the name of `--engine`."""
