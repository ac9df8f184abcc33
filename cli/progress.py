"""Progress bars on stderr, so that stdout holds results alone."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..core.progress import Task


class RichTracker:
    """Draws every task as a bar with the time left; silent where stderr is no terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)

    @contextmanager
    def task(self, label: str, total: int) -> Iterator[Task]:
        """Opens a bar."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        # Elsewhere than on a terminal a bar would leave nothing but empty lines.
        silent = not self._console.is_terminal
        with Progress(*columns, console=self._console, transient=True, disable=silent) as progress:
            yield _Bar(progress, progress.add_task(label, total=total, note=""))


class _Bar:
    def __init__(self, progress: Progress, task: object) -> None:
        self._progress, self._task = progress, task

    def advance(self, units: int = 1, note: str = "") -> None:
        """Adds finished units."""
        self._progress.update(self._task, advance=units, note=note)  # type: ignore[arg-type]
