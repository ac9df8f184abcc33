"""Shapes of a spike's slope: what they are at known points, and that they are slopes."""

import math

import pytest
import torch

from spikeproof.sim.gradients.slopes import Exponential, Gaussian, Rectangle, StraightThrough
from spikeproof.sim.gradients.surrogate import ArcTangent, Sigmoid, Surrogate, Triangle

Z = torch.linspace(-3.0, 3.0, 601, dtype=torch.float64)


def step_of_triangle(z, width):
    """The curve whose slope is the triangle: two parabolas."""
    inside = z.clamp(-width, width)
    return 0.5 + (inside * width - inside.abs() * inside / 2) / width**2


CURVES = [
    (Triangle(1.0), lambda z: step_of_triangle(z, 1.0)),
    (Triangle(0.5), lambda z: step_of_triangle(z, 0.5)),
    (Triangle(2.0), lambda z: step_of_triangle(z, 2.0)),
    (Sigmoid(4.0), lambda z: torch.sigmoid(4.0 * z)),
    (Sigmoid(1.0), torch.sigmoid),
    (ArcTangent(2.0), lambda z: torch.atan(math.pi * z) / math.pi + 0.5),
    (ArcTangent(1.0), lambda z: torch.atan(math.pi * z / 2) / math.pi + 0.5),
]
CURVES += [
    (Rectangle(0.51), lambda z: (z.clamp(-0.255, 0.255) + 0.255) / 0.51),
    (Gaussian(4.0), lambda z: torch.erf(z * math.sqrt(2.0)) / 2 + 0.5),
    (Exponential(1.0, 2.0), lambda z: z.sign() * (1 - torch.exp(-2 * z.abs())) / 2 + 0.5),
]
NAMES = [repr(shape) for shape, _ in CURVES]


@pytest.mark.parametrize(("shape", "curve"), CURVES, ids=NAMES)
def test_a_shape_is_the_slope_of_its_curve(shape, curve):
    finite = (curve(Z + 1e-6) - curve(Z - 1e-6)) / 2e-6
    torch.testing.assert_close(shape(Z), finite, rtol=0.0, atol=1e-5)


@pytest.mark.parametrize(("shape", "curve"), CURVES, ids=NAMES)
def test_a_spike_is_worth_one_in_total(shape, curve):
    far = torch.tensor([-1e6, 1e6], dtype=torch.float64)
    low, high = curve(far)
    assert high - low == pytest.approx(1.0, abs=1e-5)
    assert shape(torch.zeros(1)).item() == pytest.approx(shape(Z).max().item())


@pytest.mark.parametrize(
    ("shape", "z", "slope"),
    [
        (Triangle(1.0), 0.0, 1.0),
        (Triangle(1.0), 0.25, 0.75),
        (Triangle(1.0), -1.0, 0.0),
        (Triangle(2.0), 1.0, 0.25),
        (Sigmoid(4.0), 0.0, 1.0),
        (Sigmoid(4.0), math.log(3) / 4, 0.75),
        (ArcTangent(2.0), 0.0, 1.0),
        (ArcTangent(2.0), 1 / math.pi, 0.5),
        (Rectangle(0.5), 0.2, 2.0),
        (Rectangle(0.5), 0.25, 0.0),
        (Exponential(0.3, 2.0), 0.5, 0.3 / math.e),
        (StraightThrough(), 7.0, 1.0),
        (Gaussian(1.0), 0.0, 1 / math.sqrt(2 * math.pi)),
    ],
)
def test_a_shape_has_its_published_value(shape, z, slope):
    assert shape(torch.tensor([z, -z])).tolist() == pytest.approx([slope, slope])


def test_shapes_leave_their_argument_as_it_was():
    z = Z.clone()
    for shape, _ in CURVES:
        shape(z)
    assert torch.equal(z, Z)


def test_one_step_has_the_slope_over_the_threshold():
    h = torch.tensor([[1.0, 2.0, 3.0, 5.0]])
    grad = Surrogate(name="t", shape=Triangle(1.0)).backward(
        torch.ones_like(h), h, theta=2.0, decay=1.0
    )
    assert grad.tolist() == [[0.25, 0.5, 0.25, 0.0]]


def test_two_steps_follow_the_formula_by_hand():
    h = torch.tensor([[1.5], [1.0]])
    grad = torch.tensor([[1.0], [10.0]])
    slope, second = 0.75 / 2, 10 * 0.5 / 2  # φ(z)/θ at h = 1.5 and at h = 1
    attached = slope + 0.5 * second * (1.0 - 1.5 * slope)
    detached = slope + 0.5 * second
    for first, ours in (
        (attached, Surrogate(name="a", shape=Triangle(1.0))),
        (detached, Surrogate(name="d", shape=Triangle(1.0), reset="detached")),
    ):
        assert ours.backward(grad, h, theta=2.0, decay=0.5).tolist() == [[first], [second]]


def test_nothing_is_carried_over_a_reset_but_the_slope():
    h = torch.tensor([[9.0], [1.0]])
    grad = torch.tensor([[0.0], [1.0]])
    detached = Surrogate(name="t", shape=Triangle(1.0), reset="detached")
    assert detached.backward(grad, h, theta=2.0, decay=1.0).tolist() == [[0.0], [0.25]]


def test_a_membrane_at_its_threshold_was_not_reset_and_is_carried_on():
    h = torch.tensor([[2.0], [1.0]])
    grad = torch.tensor([[0.0], [1.0]])
    detached = Surrogate(name="t", shape=Triangle(1.0), reset="detached")
    assert detached.backward(grad, h, theta=2.0, decay=1.0).tolist() == [[0.25], [0.25]]
