"""The Triton programs against the fused neuron, in Triton's interpreter and on a device."""

import importlib.util
import os
import subprocess
import sys

import pytest
import torch

from spikeproof.core.errors import ConfigError, MissingAbilityError
from spikeproof.sim.gradients.estimators import estimator
from spikeproof.sim.gradients.surrogate import Surrogate, Triangle
from spikeproof.sim.neurons.neuron import integrate_and_fire
from spikeproof.tests.sim.neuron_kernels import assert_equals_fused, currents

HAS_TRITON = importlib.util.find_spec("triton") is not None
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
SHAPES = ["triangle", "sigmoid", "arctan"]

needs_triton = pytest.mark.skipif(
    not HAS_TRITON, reason="NOT TESTED: Triton is not installed; it comes with CUDA builds of torch"
)
interpreted = pytest.mark.skipif(
    not INTERPRETED, reason="runs in a process of its own, with TRITON_INTERPRET=1"
)


@needs_triton
@pytest.mark.skipif(INTERPRETED, reason="is the interpreter itself")
def test_programs_pass_in_the_interpreter():
    # Triton decides how it runs when it is imported.
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert "10 passed" in done.stdout


# The interpreter cuts bfloat16 off where devices round it: that type is left to them.
@interpreted
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", SHAPES)
def test_interpreted_triton_equals_fused(name, dtype):
    x = currents(8, 2, 4, 16, 17, dtype=dtype)
    assert_equals_fused("triton", x, estimator=estimator(name))


@interpreted
def test_interpreted_triton_takes_what_networks_hold():
    each = Surrogate(name="narrow", shape=Triangle(0.5), reset="detached")
    for x in (currents(1, 5, 8, 6, 6).expand(8, 5, 8, 6, 6), currents(8, 1, 1)):
        integrate_and_fire(x, theta=1.0, estimator=each, kernel_name="triton")
    assert_equals_fused("triton", currents(8, 5, 300), estimator=each, theta=1.0, decay=1.0)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", SHAPES)
def test_triton_equals_fused_on_a_device(name, dtype):
    x = currents(8, 4, 16, 32, 33, dtype=dtype).cuda()
    for values in ({"theta": 1.0, "decay": 1.0}, {"theta": 0.7, "decay": 0.9}):
        assert_equals_fused("triton", x, estimator=estimator(name), **values)


@pytest.mark.gpu
def test_compiled_equals_fused_on_a_device():
    x = currents(8, 4, 16, 32, 33).cuda()
    assert_equals_fused("compiled", x, estimator=estimator("triangle"))


@pytest.mark.skipif(INTERPRETED and HAS_TRITON, reason="the interpreter takes a CPU")
def test_triton_without_a_device_is_a_missing_ability():
    with pytest.raises(MissingAbilityError, match="expected .* for the neuron kernel 'triton'"):
        integrate_and_fire(
            currents(3, 4), theta=1.0, estimator=estimator("triangle"), kernel_name="triton"
        )


def test_triton_refuses_one_threshold_a_neuron():
    with pytest.raises(ConfigError, match="expected one threshold and one decay for .* 'triton'"):
        integrate_and_fire(
            currents(3, 4),
            theta=torch.ones(4),
            estimator=estimator("triangle"),
            kernel_name="triton",
        )


@interpreted
def test_triton_refuses_gradients_that_it_has_no_program_for():
    x = currents(3, 4).requires_grad_()
    spikes = integrate_and_fire(x, theta=1.0, estimator=estimator("rga"), kernel_name="triton")
    with pytest.raises(ConfigError, match=r"expected a surrogate \(triangle, sigmoid, arctan\)"):
        spikes.sum().backward()


@interpreted
def test_triton_keeps_nothing_without_gradients():
    x = currents(3, 4)
    spikes = integrate_and_fire(x, theta=0.5, estimator=estimator("triangle"), kernel_name="triton")
    fused = integrate_and_fire(x, theta=0.5, estimator=estimator("triangle"))
    assert torch.equal(spikes, fused)
