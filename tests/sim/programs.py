"""Two programs that tests start from: a chain with every option, and a branching classifier."""

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from spikeproof.sim.interface import Encoding, Readout
from spikeproof.sim.program import Population, Program, Source, Synapse

Kind = Literal["membrane", "sum", "spikes"]


def ramp(*shape, modulus=11, low=-5):
    """Small whole numbers of both signs."""
    return (np.arange(np.prod(shape)).reshape(shape) % modulus + low).astype(np.int32)


def chain(**changes):
    """Payload, convolution, dense with delays, dense: what a `.net` file can hold."""
    program = Program(
        sources=(Source(name="image", shape=(2, 5, 4), low=-9, high=9, message_bits=5),),
        populations=(
            Population(name="a", shape=(4, 2, 3), du=77, dv=88, vth=99, bias=ramp(4, 1, 1)),
            Population(name="b", shape=(5,), du=4096, dv=0, vth=7, bias=ramp(5), phase=1),
            Population(name="c", shape=(3,), du=0, dv=4096, vth=131071, phase=2),
        ),
        synapses=(
            Synapse(
                source="image",
                target="a",
                weight=ramp(4, 1, 3, 2),
                stride=(2, 1),
                padding=(1, 0),
                dilation=(2, 1),
                groups=2,
            ),
            Synapse(source="a", target="b", weight=ramp(5, 24), delay=ramp(5, 24, low=0)),
            Synapse(source="b", target="c", weight=ramp(3, 5), delay=3),
        ),
        outputs=("c",),
    )
    return replace(program, **changes)


def classifier(kind: Kind = "sum", **changes):
    """Images of 2x4x4, a layer, a shortcut through a relay, three logits."""
    last: dict[str, Any] = {"du": 4096, "dv": 4096 if kind == "sum" else 0}
    program = Program(
        sources=(Source(name="image", shape=(2, 4, 4), low=-120, high=200, message_bits=9),),
        populations=(
            Population(name="a", shape=(3, 2, 2), dv=1024, vth=900, bias=ramp(3, 1, 1)),
            Population(name="b", shape=(4,), dv=0, vth=6, phase=1),
            Population(name="relay", shape=(3, 2, 2), vth=0, phase=1, is_relay=True),
            Population(
                name="out",
                shape=(3,),
                vth=4 if kind == "spikes" else 131071,
                phase=2,
                bias=ramp(3),
                **last,
            ),
        ),
        synapses=(
            Synapse(source="image", target="a", weight=ramp(3, 2, 2, 2), stride=(2, 2)),
            Synapse(source="a", target="b", weight=ramp(4, 12)),
            Synapse(
                source="a", target="relay", weight=np.eye(3, dtype=np.int32).reshape(3, 3, 1, 1)
            ),
            Synapse(source="b", target="out", weight=ramp(3, 4)),
            Synapse(source="relay", target="out", weight=ramp(3, 12, modulus=7)),
        ),
        outputs=("out",),
        encoding=Encoding(offset=(120, 55), steps=6),
        readout=Readout(population="out", kind=kind, scale=0.125),
        notes={"made by": "a test, with λ"},
    )
    return replace(program, **changes)


def assert_equal_programs(ours, theirs):
    """Every field, arrays by value."""
    for kind in ("sources", "outputs", "encoding", "readout"):
        assert getattr(ours, kind) == getattr(theirs, kind)
    assert dict(ours.notes) == dict(theirs.notes)
    for kind in ("populations", "synapses"):
        pairs = zip(getattr(ours, kind), getattr(theirs, kind), strict=True)
        for one, other in pairs:
            assert_equal_fields(vars(one), vars(other))


def assert_equal_fields(one, other):
    assert one.keys() == other.keys()
    for key, value in one.items():
        np.testing.assert_array_equal(value, other[key], err_msg=key)
