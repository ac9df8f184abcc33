"""A small classifier whose first biases are wider than a narrow field."""

from dataclasses import replace

import numpy as np

from spikeproof.sim.program import Program
from spikeproof.tests.sim.programs import classifier

BITS = 9
"""Of a field that holds -256..255."""


def with_first(program: Program, **changes) -> Program:
    """With another population `a`."""
    rows = [replace(p, **changes) if p.name == "a" else p for p in program.populations]
    return replace(program, populations=tuple(rows))


def wide_biases(*, biases=(700, -610, 40), **geometry) -> Program:
    """The classifier with these biases in population `a`, and another kernel in front of it."""
    program = classifier("sum")
    first, *others = program.synapses
    changed = replace(program, synapses=(replace(first, **geometry), *others))
    return with_first(changed, bias=np.array(biases, np.int32).reshape(3, 1, 1))


def twice_reached() -> Program:
    """With a second synapse from the input into `a`, of another geometry."""
    program = wide_biases()
    first = program.synapses[0]
    other = replace(first, weight=first.weight[:, :, :1, :1] - 1)
    return replace(program, synapses=(first, other, *program.synapses[1:]))
