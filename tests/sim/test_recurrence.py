"""Spikes that return: every bit as in the slow loop, every gradient as in the float network."""

import gc
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from spikeproof.core.errors import RangeError, UnsupportedNodeError
from spikeproof.sim.clock import LavaClock, Window
from spikeproof.sim.gradients.estimators import PUBLISHED, estimator
from spikeproof.sim.interface import Readout
from spikeproof.sim.neurons.neuron import integrate_and_fire
from spikeproof.sim.program import Population, Program, Source, Synapse
from spikeproof.sim.twin import Twin
from spikeproof.tests.reference import reference
from spikeproof.tests.sim.populations import whole
from spikeproof.tests.sim.strategies import looped

# beartype looks at a random item of a container, also while hypothesis builds one.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")
STEPS = 6


@given(looped())
@settings(max_examples=60)
def test_looping_programs_equal_the_reference(case):
    clock = LavaClock(steps=case.steps, reset_interval=case.interval, reset_offset=case.offset)
    inputs, biases = (
        {name: torch.from_numpy(x) for name, x in given.items()}
        for given in (case.inputs, case.biases)
    )
    run = Twin(case.program).run(inputs, clock, biases=biases, record=True)
    for name, trace in reference(**vars(case)).items():
        np.testing.assert_array_equal(run.spikes[name].numpy(), trace.s)
        np.testing.assert_array_equal(run.registers[name].u.numpy(), trace.u)
        np.testing.assert_array_equal(run.registers[name].v.numpy(), trace.v)


def ring(rng, *, kind, dv=0, vth=14):
    """`a` feeds `b`, `b` feeds `a` a step later than usual, and `b` itself."""
    last: dict[str, Any] = {"vth": 131071, "dv": 4096} if kind == "sum" else {"vth": 22, "dv": dv}
    return Program(
        sources=(Source(name="x", shape=(5,), low=-4, high=4, message_bits=4),),
        populations=(
            Population(name="a", shape=(6,), dv=dv, vth=vth, bias=whole(rng, -2, 3, 6)),
            Population(name="b", shape=(4,), dv=dv, vth=11, phase=1),
            Population(name="out", shape=(3,), phase=2, **last),
        ),
        synapses=(
            Synapse(source="x", target="a", weight=whole(rng, -6, 8, 6, 5)),
            Synapse(source="a", target="b", weight=whole(rng, -6, 9, 4, 6)),
            Synapse(source="b", target="a", weight=whole(rng, -9, 9, 6, 4), delay=1),
            Synapse(source="b", target="b", weight=whole(rng, -8, 8, 4, 4)),
            Synapse(source="b", target="out", weight=whole(rng, -3, 9, 3, 4)),
        ),
        outputs=("out",),
        readout=Readout(population="out", kind=kind, scale=1.0),
    )


def later(x, steps):
    return torch.cat([torch.zeros_like(x[:steps]), x[: len(x) - steps]])


def float_ring(program, x, a, b, *, decay, each):
    """The same network on real numbers, unrolled: each pass lets spikes return once more."""
    into, ab, ba, bb, out = (torch.from_numpy(s.weight).float() for s in program.synapses)
    bias = torch.from_numpy(program.populations[0].bias).float()
    vth = {p.name: float(p.vth) for p in program.populations}
    for _ in range(2 * STEPS):
        into_a = later(x, 1) @ into.T + later(b, 2) @ ba.T + bias
        into_b = later(a, 1) @ ab.T + later(b, 1) @ bb.T
        a = integrate_and_fire(into_a, theta=vth["a"], decay=decay, estimator=each)
        b = integrate_and_fire(into_b, theta=vth["b"], decay=decay, estimator=each)
    last = later(b, 1) @ out.T
    if program.readout.kind == "spikes":
        last = integrate_and_fire(last, theta=vth["out"], decay=decay, estimator=each)
    return a, b, last.sum(0)


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize(("dv", "decay"), [(0, 1.0), (2048, 0.5)], ids=["IF", "LIF"])
@pytest.mark.parametrize("kind", ["sum", "spikes"])
def test_gradient_equals_that_of_the_recurrent_float_network(rng, name, dv, decay, kind):
    program, each = ring(rng, dv=dv, kind=kind), estimator(name)
    start = torch.from_numpy(whole(rng, -4, 4, STEPS, 7, 5)).float()
    x, y = start.clone().requires_grad_(), start.clone().requires_grad_()
    run = Twin(program).run({"x": x}, LavaClock(steps=STEPS), estimator=each)
    assert run.reading is not None
    a, b = run.spikes["a"].detach(), run.spikes["b"].detach()
    *trains, logits = float_ring(program, y, a, b, decay=decay, each=each)
    assert torch.equal(trains[0], a)
    assert torch.equal(trains[1], b)
    assert 0.05 < b.mean() < 0.95
    weights = torch.tensor([1.0, -2.0, 0.5])
    (ours,), (theirs,) = (
        torch.autograd.grad((found * weights).sum(), z)
        for found, z in ((run.reading, x), (logits, y))
    )
    assert theirs.abs().max() > 0
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * float(theirs.abs().max()))


def test_a_loop_can_be_read_out_itself(rng):
    program = ring(rng, kind="sum")
    loop = Population(name="b", shape=(4,), dv=0, vth=131071, phase=1)
    first, _, out = program.populations
    program = Program(
        sources=program.sources,
        populations=(first, loop, out),
        synapses=program.synapses,
        outputs=("out",),
        readout=Readout(population="b", kind="membrane", scale=1.0),
    )
    x = torch.from_numpy(whole(rng, -4, 4, STEPS, 2, 5)).float().requires_grad_()
    clock, each = LavaClock(steps=STEPS), estimator("arctan")
    run = Twin(program).run({"x": x}, clock, estimator=each, record=True)
    assert run.reading is not None
    assert torch.equal(run.reading * 64, run.registers["b"].v[-1].float())
    (grad,) = torch.autograd.grad(run.reading.sum(), x)
    assert grad[-3].abs().max() > 0
    assert grad[-2:].abs().max() == 0  # two synapses away


def test_thresholds_of_zero_in_a_loop_are_not_differentiated(rng):
    x = torch.ones(2, 1, 5, requires_grad=True)
    with pytest.raises(RangeError, match="thresholds above 0 to differentiate population 'a', got"):
        Twin(ring(rng, kind="sum", vth=0)).run(
            {"x": x}, LavaClock(steps=2), estimator=estimator("rga")
        )


def test_loops_are_refused_on_windows(rng):
    with pytest.raises(UnsupportedNodeError, match="synapse b -> a out of step"):
        Twin(ring(rng, kind="sum")).run({"x": torch.zeros(1, 1, 5)}, Window(steps=2))


def test_a_run_that_is_let_go_leaves_nothing_behind(rng):
    x = torch.ones(STEPS, 1, 5, requires_grad=True)
    gc.disable()
    try:
        run = Twin(ring(rng, kind="spikes")).run(
            {"x": x}, LavaClock(steps=STEPS), estimator=estimator("triangle")
        )
        seen = [weakref.ref(train) for train in run.spikes.values()]
        del run
        assert [each() for each in seen] == [None, None, None]
    finally:
        gc.enable()


def test_loop_sums_what_float32_cannot_hold():
    """2²⁵ + 5 arrives in a population that nothing outside its loop feeds in float64."""
    first, second = (Population(name=name, shape=(2,), vth=0) for name in ("a", "b"))
    huge = np.array([[1 << 25, 5], [3, 1 << 25]], dtype=np.int32)
    ones = np.ones((2, 2), dtype=np.int32)
    program = Program(
        sources=(Source(name="x", shape=(2,)),),
        populations=(first, second),
        synapses=(
            Synapse(source="x", target="a", weight=ones),
            Synapse(source="a", target="b", weight=huge),
            Synapse(source="b", target="a", weight=ones),
        ),
        outputs=("b",),
    )
    x = np.ones((6, 1, 2), dtype=np.int64)
    run = Twin(program).run({"x": torch.from_numpy(x)}, LavaClock(steps=6), record=True)
    for name, trace in reference(program, {"x": x}, steps=6, batch=1).items():
        np.testing.assert_array_equal(run.registers[name].u.numpy(), trace.u)
