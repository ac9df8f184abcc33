"""Metrics as TensorBoard shows them, beside the JSON lines."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ..core.errors import MissingAbilityError

FOLDER = "tensorboard"


@runtime_checkable
class Board(Protocol):
    """Takes the metrics of each finished epoch."""

    def add(self, entry: Mapping[str, Any]) -> None:
        """Adds one epoch's numbers; those that are None are left out."""
        ...

    def close(self) -> None:
        """Writes what is left."""
        ...


class NoBoard:
    """Shows nothing."""

    def add(self, entry: Mapping[str, Any]) -> None:
        """Drops it."""
        del entry

    def close(self) -> None:
        """Does nothing."""


class TensorBoard:
    """Event files in `folder`, written by tensorboardX.

    What a killed training left there is written anew: its last events may be missing.

    Args:
        folder: Of the event files.
        metrics: Of the epochs that are finished.

    Raises:
        MissingAbilityError: If tensorboardX is not installed.
    """

    def __init__(self, folder: Path, *, metrics: Iterable[Mapping[str, Any]] = ()) -> None:
        check_board()
        from tensorboardX import SummaryWriter

        for earlier in folder.glob("events.out.tfevents.*"):
            earlier.unlink()
        self._writer = SummaryWriter(str(folder))
        for entry in metrics:
            self.add(entry)

    def add(self, entry: Mapping[str, Any]) -> None:
        """Adds one epoch's numbers under its number; those that are None are left out."""
        for name, value in entry.items():
            if name != "epoch" and value is not None:
                self._writer.add_scalar(name, value, entry["epoch"])
        self._writer.flush()

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()


def check_board() -> None:
    """Refuses where metrics cannot be written for TensorBoard.

    Raises:
        MissingAbilityError: Saying what to install.
    """
    try:
        import tensorboardX  # noqa: F401
    except ImportError:
        raise MissingAbilityError(
            "expected tensorboardX for metrics in TensorBoard, got none; "
            "install it with pip install 'spikeproof[tensorboard]'"
        ) from None
