"""The processes that a training runs in: started here, by `torchrun` or by hand on each machine."""

import os
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric

from ..core.errors import ConfigError, MissingAbilityError
from .team import ALONE, Team

TORCHRUN = ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "RANK", "LOCAL_RANK")


@dataclass(frozen=True, kw_only=True)
class Processes:
    """Where a training runs.

    Args:
        device: `cpu`, `cuda` or `cuda:N`.
        devices: Processes on each machine, each with a GPU of its own; None takes what `torchrun`
            says, else 1.
        nodes: Machines; None as for `devices`. Without `torchrun` each is told `NODE_RANK`,
            `MASTER_ADDR` and `MASTER_PORT` in its environment.

    Raises:
        ConfigError: If a value is out of range, or contradicts another.
    """

    device: str = "cpu"
    devices: int | None = None
    nodes: int | None = None

    def __post_init__(self) -> None:
        if min(self.counts) < 1:
            raise ConfigError(
                f"expected at least one device and one node, got {self.devices} and {self.nodes}; "
                "leave them out for one"
            )
        if is_started_outside() and _product(self.counts) != int(os.environ["WORLD_SIZE"]):
            raise ConfigError(
                f"expected the {os.environ['WORLD_SIZE']} processes that torchrun started, got "
                f"{self.counts[0]} devices on {self.counts[1]} nodes; leave both out"
            )
        if _product(self.counts) > 1 and ":" in self.device:
            raise ConfigError(
                f"expected a device without a number for several processes, got {self.device!r}; "
                "each takes a GPU of its own"
            )

    @property
    def counts(self) -> tuple[int, int]:
        """Processes on each machine, and machines."""
        here, everywhere = 1, 1
        if is_started_outside():
            here, everywhere = (int(os.environ[k]) for k in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
        return (
            here if self.devices is None else self.devices,
            everywhere // here if self.nodes is None else self.nodes,
        )


def is_started_outside() -> bool:
    """Whether `torchrun` started this process."""
    return all(key in os.environ for key in TORCHRUN)


def is_follower() -> bool:
    """Whether another process of the same training speaks to the user."""
    return any(int(os.environ.get(key, "0")) > 0 for key in ("RANK", "LOCAL_RANK", "NODE_RANK"))


def start(processes: Processes, precision: Any) -> tuple[Fabric, Team]:
    """Starts the processes; each of them goes on from here.

    Several processes on the CPU talk through gloo, on GPUs through NCCL. Where nobody else has
    started them, this runs the program's own command again for each.

    Args:
        processes: How many, and on what.
        precision: A precision of Lightning Fabric.

    Raises:
        ConfigError: If the device is unknown.
        MissingAbilityError: If it is absent, or there are too few of it.
    """
    place, (devices, nodes) = _place(processes.device), processes.counts
    if place.type == "cuda" and torch.cuda.device_count() < devices:
        raise MissingAbilityError(
            f"expected {devices} CUDA devices, got {torch.cuda.device_count()}; ask for fewer"
        )
    chosen = devices if place.index is None or place.type == "cpu" else [place.index]
    if devices * nodes == 1 and not is_started_outside():
        return Fabric(accelerator=place.type, devices=chosen, precision=precision), ALONE
    fabric = Fabric(
        accelerator=place.type,
        devices=chosen,
        num_nodes=nodes,
        strategy="ddp",
        precision=precision,
    )
    fabric.launch()
    return fabric, Team(rank=fabric.global_rank, world=fabric.world_size)


def stop(team: Team) -> None:
    """Lets go of the other processes."""
    if team.world > 1:
        torch.distributed.destroy_process_group()


def _place(device: str) -> torch.device:
    try:
        place = torch.device(device)
    except RuntimeError:
        raise ConfigError(f"expected a device cpu or cuda, got {device!r}; name one") from None
    if place.type == "cuda" and not torch.cuda.is_available():
        raise MissingAbilityError(
            f"expected a CUDA device for {device!r}, got none; use the device cpu"
        )
    return place


def _product(counts: tuple[int, int]) -> int:
    return counts[0] * counts[1]
