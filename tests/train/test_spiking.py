import norse.torch.functional.iaf as norse_iaf
import norse.torch.functional.lif_box as norse_lif_box
import pytest
import torch

from spikeproof.core.errors import ConfigError
from spikeproof.train.spiking import Spiking


class TriangleStep(torch.autograd.Function):
    """[h > θ] with the derivative max(0, 1 − |h/θ − 1|)/θ, as a plain step."""

    @staticmethod
    def forward(ctx, distance, theta):
        ctx.save_for_backward(distance)
        ctx.theta = theta
        return (distance > 0).to(distance.dtype)

    @staticmethod
    def backward(ctx, *grads):
        (distance,) = ctx.saved_tensors
        slope = (1.0 - (distance / ctx.theta).abs()).clamp_min(0.0) / ctx.theta
        return grads[0] * slope, None


@pytest.fixture
def norse_with_triangle(monkeypatch):
    """Gives Norse's own step functions the triangle of a threshold, which they cannot express."""

    def use(theta: float) -> None:
        for module in (norse_iaf, norse_lif_box):
            monkeypatch.setattr(
                module, "threshold", lambda v, method, alpha: TriangleStep.apply(v, theta)
            )

    return use


def currents(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(shape, generator=generator, dtype=torch.float64) * 1.2 + 0.3


def value_and_gradient(compute, x):
    x = x.clone().requires_grad_()
    spikes = compute(x)
    weight = torch.linspace(-1.0, 1.0, spikes.numel(), dtype=x.dtype).view(spikes.shape)
    return spikes.detach(), torch.autograd.grad((spikes * weight).sum(), x)[0]


@pytest.mark.parametrize("theta", [1.0, 0.7])
def test_if_neurons_equal_norse_in_value_and_gradient(theta, norse_with_triangle):
    norse_with_triangle(theta)
    layer, x = Spiking(theta=theta), currents(9, 4, 5, 3)
    spikes, gradient = value_and_gradient(layer, x)
    expected, expected_gradient = value_and_gradient(layer.reference, x)
    assert torch.equal(spikes, expected)
    assert 0.1 < spikes.mean() < 0.9
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("theta", "decay"), [(1.0, 0.5), (0.7, 0.9)])
def test_lif_neurons_equal_norse_in_value_and_gradient(theta, decay, norse_with_triangle):
    norse_with_triangle(theta)
    layer, x = Spiking(theta=theta, decay=decay), currents(9, 4, 5, 3)
    spikes, gradient = value_and_gradient(layer, x)
    expected, expected_gradient = value_and_gradient(layer.reference, x)
    assert torch.equal(spikes, expected)
    assert 0.1 < spikes.mean() < 0.9
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("decay", [1.0, 0.6])
def test_spikes_equal_unmodified_norse_in_float32(decay):
    layer, x = Spiking(decay=decay), currents(8, 16, 10).float()
    assert torch.equal(layer(x), layer.reference(x))


def test_membrane_at_the_threshold_stays_silent():
    assert Spiking()(torch.tensor([[[1.0]], [[0.0]], [[0.5]]])).flatten().tolist() == [0, 0, 1]


def test_layers_leave_norse_defaults_without_gradients():
    layer = Spiking()
    layer.reference(currents(3, 2, 4).requires_grad_()).sum().backward()
    assert not norse_iaf.IAFParameters().v_reset.requires_grad
    assert not layer.neuron.v_reset.requires_grad


def test_layers_have_no_state_to_save():
    assert Spiking(decay=0.5).state_dict() == {}


@pytest.mark.parametrize("values", [{"theta": 0.0}, {"decay": 0.0}, {"decay": 1.1}])
def test_impossible_neurons_are_refused(values):
    with pytest.raises(ConfigError, match=r"expected theta > 0 and decay in \(0, 1\], got"):
        Spiking(**values)


def test_unknown_estimators_are_refused():
    with pytest.raises(ConfigError, match="expected a gradient estimator among triangle"):
        Spiking(estimator_name="none")
