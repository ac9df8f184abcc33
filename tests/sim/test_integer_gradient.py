"""Gradients of integer populations: those of the float network that they stand for."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from spikeproof.core.errors import RangeError
from spikeproof.sim.clock import Window
from spikeproof.sim.gradients.estimators import PUBLISHED, estimator
from spikeproof.sim.integer_gradient import membrane, spikes, summed
from spikeproof.sim.interface import Readout
from spikeproof.sim.neurons.neuron import integrate_and_fire
from spikeproof.sim.program import Population, Program, Source, Synapse
from spikeproof.sim.twin import Twin
from spikeproof.tests.sim.populations import activations, run, whole

STEPS = 5
"""A decay of one half keeps whole numbers exact in 64ths for as many steps, and more."""


def lossless(rng, *, dv, readout):
    """A network whose integers are also floats: convolution, dense layer, shortcut, read-out."""
    last: dict[str, Any] = (
        {"du": 4096, "dv": 4096, "vth": 131071} if readout == "sum" else {"vth": 30, "dv": dv}
    )
    populations = (
        Population(name="a", shape=(4, 3, 3), dv=dv, vth=40, bias=whole(rng, -9, 9, 4, 1, 1)),
        Population(name="b", shape=(6,), dv=dv, vth=11, bias=whole(rng, -2, 2, 6), phase=1),
        Population(name="relay", shape=(4, 3, 3), dv=0, vth=0, phase=1, is_relay=True),
        Population(name="out", shape=(3,), phase=2, bias=whole(rng, -5, 5, 3), **last),
    )
    identity = np.eye(4, dtype=np.int32).reshape(4, 4, 1, 1)
    synapses = (
        Synapse(
            source="x",
            target="a",
            weight=whole(rng, -7, 7, 4, 2, 3, 3),
            stride=(2, 2),
            padding=(1, 1),
        ),
        Synapse(source="a", target="b", weight=whole(rng, -6, 8, 6, 36)),
        Synapse(source="a", target="relay", weight=identity),
        Synapse(source="b", target="out", weight=whole(rng, -9, 9, 3, 6)),
        Synapse(source="relay", target="out", weight=whole(rng, -3, 3, 3, 36)),
    )
    return Program(
        sources=(Source(name="x", shape=(2, 5, 5), low=-4, high=4, message_bits=4),),
        populations=populations,
        synapses=synapses,
        outputs=("out",),
        readout=Readout(population="out", kind=readout, scale=1.0),
    )


def float_network(program, x, *, decay, each):
    """The same network on real numbers: the relay is a wire, the read-out a sum over time."""
    a, b, _, out = program.populations
    weights = [torch.from_numpy(s.weight).float() for s in program.synapses]
    biases = [torch.from_numpy(p.bias).float() for p in (a, b, out)]
    now = F.conv2d(x, weights[0], stride=2, padding=1) + biases[0]
    held = now.expand(STEPS, *now.shape)
    first = integrate_and_fire(held, theta=float(a.vth), decay=decay, estimator=each)
    flat = first.flatten(2)
    second = integrate_and_fire(
        flat @ weights[1].T + biases[1], theta=float(b.vth), decay=decay, estimator=each
    )
    last = second @ weights[3].T + flat @ weights[4].T + biases[2]
    if program.readout.kind == "spikes":
        last = integrate_and_fire(last, theta=float(out.vth), decay=decay, estimator=each)
    return {"a": first, "b": second}, last.sum(0)


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize(("dv", "decay"), [(0, 1.0), (2048, 0.5)], ids=["IF", "LIF"])
@pytest.mark.parametrize("readout", ["sum", "spikes"])
def test_gradient_equals_that_of_the_float_network(rng, name, dv, decay, readout):
    program, each = lossless(rng, dv=dv, readout=readout), estimator(name)
    start = torch.from_numpy(whole(rng, -4, 4, 7, 2, 5, 5)).float()
    x, y = start.clone().requires_grad_(), start.clone().requires_grad_()
    run = Twin(program).run({"x": x[None]}, Window(steps=STEPS), estimator=each)
    trains, logits = float_network(program, y, decay=decay, each=each)
    assert all(torch.equal(run.spikes[k], train) for k, train in trains.items())
    assert 0.05 < trains["b"].mean() < 0.95
    assert run.reading is not None
    assert torch.equal(run.reading, logits)
    weights = torch.tensor([1.0, -2.0, 0.5])
    (ours,), (theirs,) = (
        torch.autograd.grad((found * weights).sum(), z)
        for found, z in ((run.reading, x), (logits, y))
    )
    assert theirs.abs().max() > 0
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * float(theirs.abs().max()))


def weighted_gradient(found, x):
    weights = torch.linspace(-1.0, 2.0, found.numel()).reshape(found.shape)
    (grad,) = torch.autograd.grad((found * weights).sum(), x)
    return grad


def float_registers(a, *, du, dv):
    """u and v of a neuron that neither fires nor rounds, at every step."""
    u, v, us, vs = torch.zeros_like(a[0]), torch.zeros_like(a[0]), [], []
    for now in a:
        u = u * (1 - du / 4096) + now
        v = v * (1 - dv / 4096) + u
        us.append(u)
        vs.append(v)
    return torch.stack(us), torch.stack(vs)


@pytest.mark.parametrize("dv", [0, 100, 2048, 4096])
@pytest.mark.parametrize("du", [0, 77, 2048, 4096])
def test_membrane_reads_the_last_v_and_has_its_gradient(rng, du, dv):
    population = Population(name="out", shape=(4,), du=du, dv=dv, vth=131071)
    a = activations(rng, 6, 3, 4)
    found = membrane(a, run(a, population), population)
    expected = float_registers(a, du=du, dv=dv)[1][-1]
    torch.testing.assert_close(found, expected, rtol=0.0, atol=1.0)  # integers round, a bit a step
    torch.testing.assert_close(weighted_gradient(found, a), weighted_gradient(expected, a))


@pytest.mark.parametrize("dv", [0, 100, 2048, 4096])
@pytest.mark.parametrize("du", [0, 77, 2048, 4096])
def test_summed_adds_v_over_the_steps_and_has_its_gradient(rng, du, dv):
    population = Population(name="out", shape=(4,), du=du, dv=dv, vth=131071)
    a = activations(rng, 6, 3, 4)
    found = summed(a, run(a, population), population)
    expected = float_registers(a, du=du, dv=dv)[1].sum(0)
    torch.testing.assert_close(found, expected, rtol=0.0, atol=4.0)
    torch.testing.assert_close(weighted_gradient(found, a), weighted_gradient(expected, a))


@pytest.mark.parametrize("du", [0, 4096])
def test_a_read_out_that_fires_is_read_after_its_reset_as_lava_shows_it(rng, du):
    population = Population(name="out", shape=(4,), du=du, dv=4096, vth=5)
    a = activations(rng, 6, 3, 4)
    registers = run(a, population)
    assert 0 < registers.spikes[-1].sum() < registers.spikes[-1].numel()
    assert torch.equal(membrane(a, registers, population), registers.v[-1] / 64)
    assert torch.equal(summed(a, registers, population), registers.v.sum(0) / 64)


@pytest.mark.parametrize("dv", [0, 1024])
@pytest.mark.parametrize("du", [0, 1024, 4096])
def test_spikes_pass_their_gradient_through_the_current(rng, du, dv):
    population = Population(name="a", shape=(5,), du=du, dv=dv, vth=20)
    a, each = activations(rng, 8, 3, 5), estimator("sigmoid")
    registers = run(a, population)
    grad = weighted_gradient(spikes(a, registers, population, estimator=each), a)
    h = registers.h.float() / 64
    weights = torch.linspace(-1.0, 2.0, grad.numel()).reshape(grad.shape)
    into_v = each.backward(weights, h, theta=20.0, decay=1.0 - dv / 4096)
    u, _ = float_registers(a, du=du, dv=0)
    (expected,) = torch.autograd.grad(u, a, into_v)
    torch.testing.assert_close(grad, expected)


def test_a_relay_hands_on_spikes_one_by_one_and_is_differentiated_as_the_identity(rng):
    relay = Population(name="r", shape=(6,), du=4096, dv=0, vth=0, is_relay=True)
    a = activations(rng, 7, 2, 6, low=0, high=1)
    found = spikes(a, run(a, relay), relay, estimator=estimator("triangle"))
    assert torch.equal(found, a.detach())
    weights = torch.linspace(-1.0, 2.0, found.numel()).reshape(found.shape)
    assert torch.equal(weighted_gradient(found, a), weights)


@pytest.mark.parametrize("read", [membrane, summed])
def test_an_activation_that_holds_collects_the_gradients_of_all_steps(rng, read):
    population = Population(name="out", shape=(4,), du=1000, dv=4096, vth=131071)
    held = activations(rng, 1, 3, 4)
    stated = held.detach().repeat(6, 1, 1).requires_grad_()
    grads = [
        weighted_gradient(read(a, run(a, population, steps=6), population), a)
        for a in (held, stated)
    ]
    torch.testing.assert_close(grads[0], grads[1].sum(0, keepdim=True))


@pytest.mark.parametrize("name", PUBLISHED)
def test_resets_cut_the_gradient_into_that_of_their_windows(rng, name):
    population, each = Population(name="a", shape=(5,), du=1024, dv=300, vth=12), estimator(name)
    a = activations(rng, 7, 3, 5)
    registers = run(a, population, resets=tuple(t == 3 for t in range(7)))
    grad = weighted_gradient(spikes(a, registers, population, estimator=each), a)
    weights = torch.linspace(-1.0, 2.0, a.numel()).reshape(a.shape)
    for window in (slice(0, 3), slice(3, 7)):
        cut = a[window].detach().requires_grad_()
        alone = spikes(cut, run(cut, population), population, estimator=each)
        (expected,) = torch.autograd.grad((alone * weights[window]).sum(), cut)
        assert torch.equal(grad[window], expected)


def test_a_membrane_forgets_what_came_before_its_last_reset(rng):
    population = Population(name="out", shape=(4,), du=77, dv=2048, vth=131071)
    a = activations(rng, 6, 3, 4)
    registers = run(a, population, resets=tuple(t == 4 for t in range(6)))
    grad = weighted_gradient(membrane(a, registers, population), a)
    late = a[4:].detach().requires_grad_()
    alone = membrane(late, run(late, population), population)
    assert torch.equal(grad[4:], weighted_gradient(alone, late))
    assert grad[:4].abs().max() == 0


def test_a_threshold_of_zero_is_refused_where_it_is_differentiated(rng):
    population = Population(name="a", shape=(4,), vth=0)
    a = activations(rng, 2, 1, 4)
    with pytest.raises(
        RangeError, match="thresholds above 0 to differentiate population 'a', got 0"
    ):
        spikes(a, run(a, population), population, estimator=estimator("rga"))
