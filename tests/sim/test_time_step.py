"""What a time step that is no power of two costs: a rounding of λ and of the input's gain."""

from typing import Any

import nir
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spikeproof.sim.graph.layers import NeuronLayer, Site
from spikeproof.sim.graph.neurons import NEURONS

EPS = 2.0**-53
"""Half the distance from 1 to the next float64: the error of one rounding."""
DECAYS = st.floats(0.01, 0.999)
STEPS = st.sampled_from([1e-4, 1e-3, 0.1, 0.3, 7.0, 1e-6]) | st.floats(1e-6, 10.0)


def read(node, dt):
    """A node as the float executor reads it, in float64."""
    site = Site(
        name="n",
        kind=type(node).__name__,
        fields=vars(node),
        shape=(1,),
        dt=dt,
        dtype=torch.float64,
        device=torch.device("cpu"),
    )
    layer = NEURONS[type(node)](site)
    assert isinstance(layer, NeuronLayer)
    return layer


def leaky(decay, dt):
    """λ as NIR holds it: tau = dt/(1 − λ), r = tau/dt."""
    tau = np.array([dt / (1.0 - decay)])
    fields: dict[str, Any] = {
        "v_leak": np.zeros(1),
        "v_threshold": np.ones(1),
        "v_reset": np.zeros(1),
    }
    return nir.LIF(tau=tau, r=tau / dt, **fields)


@given(decay=DECAYS, dt=STEPS)
def test_gain_of_a_leaky_neuron_is_one_within_two_roundings(decay, dt):
    assert abs(float(read(leaky(decay, dt), dt).gain) - 1.0) <= 2 * EPS


@given(decay=DECAYS, dt=STEPS)
def test_decay_comes_back_within_four_roundings(decay, dt):
    assert abs(float(read(leaky(decay, dt), dt).decay) - decay) <= 4 * EPS


@given(decay=DECAYS, power=st.integers(-20, 4))
def test_power_of_two_keeps_the_gain_exact(decay, power):
    assert read(leaky(decay, 2.0**power), 2.0**power).gain == 1.0


@given(dt=STEPS)
def test_gain_of_an_integrator_is_one_within_two_roundings(dt):
    node = nir.IF(r=np.array([1.0 / dt]), v_threshold=np.ones(1), v_reset=np.zeros(1))
    assert abs(float(read(node, dt).gain) - 1.0) <= 2 * EPS


@pytest.mark.parametrize("dt", [1e-4, 1e-3, 0.1])
def test_parameters_in_float32_cost_its_rounding(dt):
    node = leaky(0.9, dt)
    single = nir.LIF(**{k: getattr(node, k).astype(np.float32) for k in FIELDS})
    assert abs(float(read(single, dt).gain) - 1.0) <= 2.0**-23
    assert abs(float(read(single, dt).decay) - 0.9) <= 2.0**-24


FIELDS = ("tau", "r", "v_leak", "v_threshold", "v_reset")
