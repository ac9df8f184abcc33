"""When things happen: Lava's clock, and the window in which one population answers one sample."""

from dataclasses import dataclass

from ..core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class LavaClock:
    """All populations on one clock, steps 1..T, every synapse one step (plus its delay) late.

    Args:
        steps: T.
        reset_interval: I; phase k is cleared before step t where t mod I = (offset + 1 + k) mod I.
        reset_offset: Shifts every population's phase. 0 suits an input driven by its bias, 1 an
            external one.
    """

    steps: int
    reset_interval: int | None = None
    reset_offset: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or (self.reset_interval is not None and self.reset_interval < 1):
            raise ConfigError(
                f"expected steps and reset interval of at least 1, got {self.steps} and "
                f"{self.reset_interval}; give positive numbers"
            )

    def lateness(self, delay: int) -> int:
        """Steps between a spike and its arrival."""
        return 1 + delay

    def resets(self, phase: int) -> tuple[bool, ...]:
        """Which steps clear a population of this phase before they integrate."""
        if self.reset_interval is None:
            return ()
        due = (self.reset_offset + 1 + phase) % self.reset_interval
        return tuple(t % self.reset_interval == due for t in range(1, self.steps + 1))

    def window(self, phase: int, sample: int) -> slice:
        """Columns of a trace in which a population answers the n-th sample of a periodic run.

        Raises:
            ConfigError: If nothing resets.
        """
        if self.reset_interval is None:
            raise ConfigError(
                "expected a clock with a reset interval for the window of a sample, got none; "
                "state one"
            )
        start = sample * self.reset_interval + self.reset_offset + phase
        return slice(start, start + self.reset_interval)


@dataclass(frozen=True, kw_only=True)
class Window:
    """Each population on its own clock, T steps from its reset: one sample's view of `LavaClock`.

    Only for programs without `unlevelled` synapses; then both agree in every bit.
    """

    steps: int

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError(f"expected at least 1 step, got {self.steps}; give more")

    def lateness(self, delay: int) -> int:
        """Steps between a spike and its arrival: none, as the target's clock starts later."""
        del delay
        return 0

    def resets(self, phase: int) -> tuple[bool, ...]:
        """No step clears a population: it starts cleared."""
        del phase
        return ()


Clock = LavaClock | Window
