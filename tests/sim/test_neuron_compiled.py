"""The compiled neuron equals the fused one; about a minute for the compiler, so `slow`."""

import shutil

import pytest
import torch

from spikeproof.core.errors import ConfigError
from spikeproof.sim.estimators import ESTIMATORS, estimator
from spikeproof.sim.neuron import FUSED, integrate_and_fire
from spikeproof.tests.sim.neuron_kernels import assert_equals_fused, currents, run

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))),
    reason="NOT TESTED: torch.compile needs a C++ compiler, found none; install g++",
)


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_compiled_equals_fused(name, dtype):
    x = currents(8, 2, 4, 16, 17, dtype=dtype)
    assert_equals_fused("compiled", x, estimator=estimator(name))


@pytest.mark.slow
@needs_compiler
def test_compiled_takes_the_layouts_and_sizes_of_a_network():
    each = estimator("triangle")
    for x in (currents(1, 5, 8, 6, 6).expand(8, 5, 8, 6, 6), currents(8, 5, 33)):
        assert_equals_fused("compiled", x, estimator=each, theta=1.0, decay=1.0)
    last = currents(24, 4, 5, 6).contiguous(memory_format=torch.channels_last)
    assert_equals_fused("compiled", last.unflatten(0, (8, 3)), estimator=each)


@pytest.mark.slow
@needs_compiler
def test_compiled_saves_one_tensor_and_none_without_gradients():
    x, each = currents(8, 2, 50), estimator("triangle")
    with torch.no_grad():
        spikes = integrate_and_fire(x, theta=0.7, decay=0.9, estimator=each, kernel_name="compiled")
    assert torch.equal(spikes, run(FUSED, x, estimator=each).spikes)


def test_one_threshold_a_neuron_is_refused():
    x = currents(3, 4)
    with pytest.raises(ConfigError, match="expected one threshold and one decay for .* 'compiled'"):
        integrate_and_fire(
            x, theta=torch.ones(4), estimator=estimator("triangle"), kernel_name="compiled"
        )
