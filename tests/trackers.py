"""A tracker that writes down what it is shown."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from spikeproof.core.progress import Task


@dataclass
class Bar:
    """One task: its label, how much there is to do, how much was done, what was said."""

    label: str
    total: int
    done: int = 0
    notes: list[str] = field(default_factory=list)

    def advance(self, units: int = 1, note: str = "") -> None:
        """Adds finished units."""
        self.done += units
        self.notes += [note] if note else []


class Recorder:
    """Keeps every bar; two at a time are refused, as a terminal draws one."""

    def __init__(self) -> None:
        self.bars: list[Bar] = []
        self._is_open = False

    @contextmanager
    def task(self, label: str, total: int) -> Iterator[Task]:
        """Opens a bar."""
        assert not self._is_open
        self._is_open = True
        self.bars.append(Bar(label, total))
        yield self.bars[-1]
        self._is_open = False

    @property
    def counts(self) -> list[tuple[str, int, int]]:
        """Label, units done and units in all, of every bar."""
        return [(bar.label, bar.done, bar.total) for bar in self.bars]
