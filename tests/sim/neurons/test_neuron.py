"""The multi-step neuron against a plain loop over steps that autograd differentiates itself."""

import pytest
import torch
from norse.torch.functional.iaf import IAFFeedForwardState, IAFParameters, iaf_feed_forward_step
from norse.torch.functional.lif_box import (
    LIFBoxFeedForwardState,
    LIFBoxParameters,
    lif_box_feed_forward_step,
)

from spikeproof.core.errors import ConfigError
from spikeproof.sim.gradients.estimators import ESTIMATORS, PUBLISHED, estimator
from spikeproof.sim.gradients.surrogate import ArcTangent, Sigmoid, Surrogate, Triangle
from spikeproof.sim.neurons import fused as neuron_fused
from spikeproof.sim.neurons.neuron import integrate_and_fire

SHAPES = {"triangle": Triangle(1.0), "sigmoid": Sigmoid(4.0), "arctan": ArcTangent(2.0)}
DECAYS = [1.0, 0.5, 0.9]


class Spike(torch.autograd.Function):
    """Strictly above zero forward, a given slope backward."""

    @staticmethod
    def forward(ctx, z, shape):
        ctx.save_for_backward(z)
        ctx.shape = shape
        return (z > 0).to(z.dtype)

    @staticmethod
    def backward(ctx, *grads):
        (z,) = ctx.saved_tensors
        return grads[0] * ctx.shape(z), None


def plain_loop(x, *, theta, decay, shape, reset="attached"):
    """The equations as they stand."""
    v, spikes = torch.zeros_like(x[0]), []
    for now in x:
        h = decay * v + now
        s = Spike.apply(h / theta - 1.0, shape)
        spikes.append(s)
        v = h * (1.0 - (s if reset == "attached" else s.detach()))
    return torch.stack(spikes)


def drive(*shape, seed=0):
    """Inputs that make neurons fire at every second or third step, negative ones among them."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(shape, generator=generator, dtype=torch.float64) + 0.4).requires_grad_()


def gradient(spikes, x):
    """Of a weighted sum of the spikes, so that every step has a gradient of its own."""
    weights = torch.linspace(-1.0, 2.0, spikes.numel(), dtype=spikes.dtype).reshape(spikes.shape)
    (grad,) = torch.autograd.grad((spikes * weights).sum(), x)
    return grad


@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("reset", ["attached", "detached"])
@pytest.mark.parametrize("name", SHAPES)
def test_gradient_equals_autograd_through_a_plain_loop(name, reset, decay):
    x, shape = drive(9, 4, 5), SHAPES[name]
    ours = Surrogate(name=name, shape=shape, reset=reset)
    spikes = integrate_and_fire(x, theta=0.8, decay=decay, estimator=ours)
    plain = plain_loop(x, theta=0.8, decay=decay, shape=shape, reset=reset)
    assert torch.equal(spikes, plain)
    torch.testing.assert_close(gradient(spikes, x), gradient(plain, x), rtol=1e-12, atol=1e-12)


def test_thresholds_and_decays_may_differ_between_neurons():
    x = drive(7, 3, 4)
    theta, decay = torch.tensor([0.5, 1.0, 2.0, 4.0]), torch.tensor([1.0, 0.25, 0.5, 0.75])
    theta, decay = theta.to(x.dtype), decay.to(x.dtype)
    spikes = integrate_and_fire(x, theta=theta, decay=decay, estimator=estimator("triangle"))
    plain = plain_loop(x, theta=theta, decay=decay, shape=SHAPES["triangle"])
    torch.testing.assert_close(gradient(spikes, x), gradient(plain, x), rtol=1e-12, atol=1e-12)


def test_attached_and_detached_resets_differ():
    x = drive(6, 8)
    grads = [
        gradient(integrate_and_fire(x, theta=1.0, estimator=e), x)
        for e in (
            Surrogate(name="a", shape=Triangle(1.0)),
            Surrogate(name="d", shape=Triangle(1.0), reset="detached"),
        )
    ]
    assert not torch.allclose(*grads)


def test_a_membrane_at_its_threshold_does_not_fire():
    x = torch.tensor([0.5, 0.5, 0.25, 0.0])[:, None]
    spikes = integrate_and_fire(x, theta=1.0, estimator=estimator("triangle"))
    assert spikes[:, 0].tolist() == [0.0, 0.0, 1.0, 0.0]


def test_a_spike_clears_the_membrane_however_high_it_was():
    x = torch.tensor([9.0, 0.6, 0.6])[:, None]
    spikes = integrate_and_fire(x, theta=1.0, estimator=estimator("triangle"))
    assert spikes[:, 0].tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_forward_is_the_same_for_all_estimators_with_and_without_gradients(dtype):
    x = drive(8, 50).detach().to(dtype)
    runs = [
        integrate_and_fire(given, theta=0.9, decay=0.7, estimator=each)
        for each in ESTIMATORS.values()
        for given in (x, x.clone().requires_grad_())
    ]
    assert all(torch.equal(run, runs[0]) for run in runs)
    assert runs[0].dtype == dtype


def test_the_input_is_left_as_it_was():
    x = drive(4, 3).detach()
    before = x.clone()
    integrate_and_fire(x, theta=0.5, decay=0.5, estimator=estimator("rga"))
    assert torch.equal(x, before)


def test_an_if_neuron_equals_norse_step_by_step():
    x = drive(12, 40).detach()
    state, spikes = IAFFeedForwardState(v=torch.zeros_like(x[0])), []
    for now in x:
        s, state = iaf_feed_forward_step(now, state, IAFParameters(v_th=torch.tensor(0.75)))
        spikes.append(s)
    ours = integrate_and_fire(x, theta=0.75, estimator=estimator("arctan"))
    assert torch.equal(ours, torch.stack(spikes))


def test_a_lif_neuron_equals_norse_fed_with_the_scaled_input():
    x, decay = drive(12, 40).detach(), 0.5
    parameters = LIFBoxParameters(tau_mem_inv=torch.tensor(1.0 - decay), v_th=torch.tensor(0.75))
    state, spikes = LIFBoxFeedForwardState(v=torch.zeros_like(x[0])), []
    for now in x:
        s, state = lif_box_feed_forward_step(now / (1.0 - decay), state, parameters, dt=1.0)
        spikes.append(s)
    ours = integrate_and_fire(x, theta=0.75, decay=decay, estimator=estimator("arctan"))
    assert torch.equal(ours, torch.stack(spikes))


def saved_bytes(compute):
    """Bytes that autograd holds for the backward pass of a call."""
    seen = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        compute()
    return sum(seen.values())


@pytest.mark.parametrize("name", ESTIMATORS)
def test_backward_holds_one_tensor_as_large_as_the_input(name):
    x = drive(8, 100)
    held = saved_bytes(
        lambda: integrate_and_fire(x, theta=0.7, decay=0.9, estimator=estimator(name))
    )
    assert held == x.untyped_storage().nbytes()


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_graph_that_is_retained_can_be_differentiated_again(name):
    x = drive(6, 30)
    spikes = integrate_and_fire(x, theta=0.7, decay=0.9, estimator=estimator(name))
    first, second, third = (
        torch.autograd.grad(spikes.square().sum(), x, retain_graph=keeps)[0]
        for keeps in (True, True, False)
    )
    assert first.abs().max() > 0
    assert torch.equal(first, second)
    assert torch.equal(first, third)


@pytest.mark.parametrize("retains", [True, False])
def test_the_gradient_takes_the_place_of_what_was_saved_for_it(retains):
    places = []
    hooks = torch.autograd.graph.saved_tensors_hooks(
        lambda saved: places.append(saved.data_ptr()) or saved, lambda saved: saved
    )
    x = drive(6, 30)
    with hooks:
        spikes = integrate_and_fire(x, theta=0.7, estimator=estimator("triangle"))
    (gradient,) = torch.autograd.grad(spikes, x, torch.ones_like(x), retain_graph=retains)
    assert (gradient.data_ptr() in places) == (not retains)


def test_blocks_of_neurons_change_nothing(monkeypatch):
    x, each = drive(6, 5, 7), estimator("triangle")
    theta = torch.linspace(0.5, 2.0, 7, dtype=x.dtype)
    whole = gradient(integrate_and_fire(x, theta=theta, decay=0.8, estimator=each), x)
    for name in ("SHARED_BLOCK", "LONE_BLOCK"):
        monkeypatch.setattr(neuron_fused, name, 4)
    assert torch.equal(
        gradient(integrate_and_fire(x, theta=theta, decay=0.8, estimator=each), x), whole
    )


def test_maps_with_channels_last_fire_alike_and_stay_so():
    x, each = drive(24, 4, 5, 6), estimator("sigmoid")
    last = x.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    runs = [
        integrate_and_fire(m.unflatten(0, (8, 3)), theta=0.8, decay=0.9, estimator=each)
        for m in (x, last)
    ]
    assert torch.equal(*runs)
    assert runs[1].flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(gradient(runs[0], x), gradient(runs[1], last))


def test_unknown_kernels_are_refused():
    with pytest.raises(ConfigError, match="expected a neuron kernel among fused, compiled, triton"):
        integrate_and_fire(drive(2, 3), theta=1.0, estimator=estimator("rga"), kernel_name="fast")
