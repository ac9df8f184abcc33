"""Gradients of integer populations: those of the float network that they stand for."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from spikeproof.core.errors import RangeError
from spikeproof.sim.clock import Window
from spikeproof.sim.gradients.estimators import PUBLISHED, estimator
from spikeproof.sim.integer_gradient import membrane, spikes, summed
from spikeproof.sim.program import Population
from spikeproof.sim.twin import Twin
from spikeproof.tests.sim.lossless import STEPS, float_network, lossless
from spikeproof.tests.sim.populations import activations, run, whole


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


EACH = {"du": [0, 1024, 4096, 77, 0], "dv": [0, 0, 512, 4096, 2048], "vth": [20, 7, 33, 12, 50]}
"""Decays and thresholds of five neurons."""


@pytest.mark.parametrize("name", [*PUBLISHED, "hart", "assg", "sigmoid-detached"])
@pytest.mark.parametrize("resets", [(), (False, False, True, False, False, False)])
def test_neurons_that_differ_have_the_gradients_that_each_has_alone(rng, name, resets):
    given: dict[str, Any] = {key: np.array(values) for key, values in EACH.items()}
    together = Population(name="a", shape=(5,), **given)
    a = activations(rng, 6, 3, 5, high=20)
    grad = spike_gradient(a, together, name, resets)
    for k in range(5):
        own: dict[str, Any] = {key: values[k] for key, values in EACH.items()}
        alone = Population(name="a", shape=(1,), **own)
        one = a.detach()[..., k : k + 1].requires_grad_()
        expected = spike_gradient(one, alone, name, resets)
        torch.testing.assert_close(grad[..., k : k + 1], expected)


def spike_gradient(a, population, name, resets):
    """Steps count differently, samples and neurons the same."""
    train = spikes(a, run(a, population, resets=resets), population, estimator=estimator(name))
    steps = torch.arange(1.0, len(a) + 1).reshape(-1, 1, 1)
    (grad,) = torch.autograd.grad((steps * train).sum(), a)
    assert grad.abs().max() > 0
    return grad


@pytest.mark.parametrize("read", [membrane, summed])
def test_readers_of_neurons_that_differ_have_the_gradients_that_each_has_alone(rng, read):
    given: dict[str, Any] = {key: np.array(EACH[key]) for key in ("du", "dv")} | {"vth": 131071}
    together = Population(name="out", shape=(5,), **given)
    a = activations(rng, 6, 3, 5)
    grad = ramp_gradient(read(a, run(a, together), together), a)
    for k in range(5):
        alone = replace(together, shape=(1,), du=EACH["du"][k], dv=EACH["dv"][k])
        one = a.detach()[..., k : k + 1].requires_grad_()
        expected = ramp_gradient(read(one, run(one, alone), alone), one)
        torch.testing.assert_close(grad[..., k : k + 1], expected)


def ramp_gradient(found, a):
    """Samples count differently, neurons the same."""
    (grad,) = torch.autograd.grad((found * torch.tensor([[1.0], [-2.0], [0.5]])).sum(), a)
    return grad


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
