"""How long work reports itself: library code advances a tracker, only the command line draws it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, runtime_checkable


@runtime_checkable
class Task(Protocol):
    """One bar: `advance` by finished units, with a short note of where the work stands."""

    def advance(self, units: int = 1, note: str = "") -> None:
        """Adds finished units."""
        ...


@runtime_checkable
class Tracker(Protocol):
    """Opens bars."""

    def task(self, label: str, total: int) -> AbstractContextManager[Task]:
        """Opens a bar of `total` units, closed at the end of the `with` block."""
        ...


class _SilentTask:
    def advance(self, units: int = 1, note: str = "") -> None:
        """Draws nothing."""


class _Silent:
    @contextmanager
    def task(self, label: str, total: int) -> Iterator[Task]:
        """Opens nothing."""
        del label, total
        yield _SilentTask()


SILENT: Tracker = _Silent()
"""The tracker of library use and of tests."""
