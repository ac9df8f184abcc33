"""Whether Lava's processes hold the numbers of a Program as they are.

Where they do not, Lava changes them without a word; a Program says what acts, so it is refused.
"""

import numpy as np

from ...core.errors import RangeError, UnsupportedNodeError
from ..exact_sums import activation_bound
from ..fixed_point import STATE_MAX
from ..program import INT32, MAX_DELAY, Program, Source, Synapse

DENSE_LOW, DENSE_HIGH = -256, 255
"""Of a dense matrix with both signs; one without positive weights begins at −255."""


def check_fit(program: Program) -> None:
    """Refuses what the processes of `lava_build` would not compute as the program states it.

    Raises:
        RangeError: If a weight, a delay or a delayed payload does not fit its process.
        UnsupportedNodeError: If the program falls into parts: Lava runs what is connected.
    """
    for synapse in program.synapses:
        _check_delay(synapse)
        if not synapse.is_conv:
            _check_dense(synapse)
        else:
            _check_conv(synapse, program.source(synapse.source))
    _check_whole(program)


def _check_conv(synapse: Synapse, source: Source | None) -> None:
    if synapse.shift:
        raise UnsupportedNodeError(
            f"expected no shift in the convolution {synapse.label}, got {synapse.shift}; only "
            f"Lava's dense synapses shift their sums"
        )
    low, high = (source.low, source.high) if source and source.is_graded else (0, 1)
    if synapse.delay and (low < -STATE_MAX or high >= STATE_MAX):
        _check_delayed_sums(synapse, low=low, high=high)


def _check_delayed_sums(synapse: Synapse, *, low: int, high: int) -> None:
    """Refuses a delayed convolution that does not take all its sums modulo 2²⁴.

    Its delay is made of convolutions, each of which takes the payload modulo 2²⁴. The last one does
    so with its sums, and the same comes out unless a sum leaves 32 bits.
    """
    bound = activation_bound(synapse, low=min(low, -STATE_MAX), high=max(high, STATE_MAX))
    if bound >= INT32:
        raise RangeError(
            f"expected sums below 2^31 or payloads within 24 bits in the delayed convolution "
            f"{synapse.label}, got up to {bound} of payloads {low}..{high}; delay the input itself"
        )


def _check_dense(synapse: Synapse) -> None:
    low, high = int(synapse.weight.min(initial=0)), int(synapse.weight.max(initial=0))
    least = DENSE_LOW if high > 0 else DENSE_LOW + 1
    if low < least or high > DENSE_HIGH:
        raise RangeError(
            f"expected weights {least}..{DENSE_HIGH} in the dense synapse {synapse.label}, got "
            f"{low}..{high}; Lava would clip them"
        )


def _check_delay(synapse: Synapse) -> None:
    longest = int(np.max(synapse.delay, initial=0))
    if longest > MAX_DELAY:
        raise RangeError(
            f"expected delays of at most {MAX_DELAY} in synapse {synapse.label}, got {longest}; "
            f"insert a relay population"
        )


def _check_whole(program: Program) -> None:
    start = program.populations[0].name
    seen, reached = {start}, {start}
    while reached:
        joined = {
            name
            for s in program.synapses
            if {s.source, s.target} & reached
            for name in (s.source, s.target)
        }
        reached = joined - seen
        seen |= reached
    apart = [p.name for p in program.populations if p.name not in seen]
    if apart:
        raise UnsupportedNodeError(
            f"expected all populations to be connected, got {apart} apart from {start!r}; run the "
            f"parts one by one"
        )
