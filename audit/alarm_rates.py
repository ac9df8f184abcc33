"""How often each alarm is raised by audits of models known to be sound, as measured."""

from dataclasses import dataclass

from ..attacks.lattice import LINF
from .statistics import wilson

AUDITED = 52
"""Sound models audited by `benchmarks/bench_alarm_rates.py`."""

RAISED: dict[str, int] = {
    "black_box_beats_white_box": 0,
    "gradient_misleads": 0,
    "large_epsilon": 0,
    "noise_as_strong_as_fgsm": 0,
    "one_step_beats_iterative": 0,
    "rises_with_epsilon": 0,
    "rises_with_steps": 0,
    "search_beats_gradients": 0,
    "zero_gradients": 0,
}
"""On how many of them each alarm was raised. `verdict_moves_with_width` is left out: most have no
spikes, hence no widths, and the four that have say too little."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Alarms raised on sound models, with the upper end of the 95 % Wilson interval."""

    raised: int
    models: int
    at_most: float


def rate_of(name: str, norm: str) -> Rate | None:
    """The rate of one alarm; None where it was not measured, as in other norms than linf."""
    if name not in RAISED or norm != LINF:
        return None
    high = wilson(RAISED[name], AUDITED).high
    return Rate(raised=RAISED[name], models=AUDITED, at_most=high)
