"""The compiled neuron equals the fused one; minutes for the compiler, so `slow`."""

import shutil
import subprocess
import sys

import pytest
import torch
from torch._dynamo.exc import BackendCompilerFailed

from spikeproof.core.errors import ConfigError, MissingAbilityError
from spikeproof.datasets.images import load
from spikeproof.sim.gradients.estimators import PUBLISHED, estimator
from spikeproof.sim.neurons import compiled as neuron_compiled
from spikeproof.sim.neurons.neuron import FUSED, integrate_and_fire
from spikeproof.tests.sim.neuron_kernels import assert_equals_fused, currents, run
from spikeproof.train.config import NetworkOptions, TrainConfig
from spikeproof.train.processes import Processes, start
from spikeproof.train.training import Training, fresh

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))),
    reason="NOT TESTED: torch.compile needs a C++ compiler, found none; install g++",
)


# Torch cannot compile through the checker of types that wraps the package in tests.
IS_CHECKED = hasattr(integrate_and_fire, "__wrapped__")
unchecked = pytest.mark.skipif(IS_CHECKED, reason="runs in a process of its own, types unchecked")


@pytest.mark.slow
@pytest.mark.timeout(900)
@needs_compiler
@pytest.mark.skipif(not IS_CHECKED, reason="is that process itself")
def test_compiled_passes_where_types_are_not_checked():
    plain = ["-o", "addopts=--import-mode=importlib", "-m", "slow", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plain, __file__], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "9 passed" in done.stdout


@pytest.mark.slow
@unchecked
@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *((name, torch.float32) for name in PUBLISHED),
        ("triangle", torch.float64),
        ("triangle", torch.bfloat16),
    ],
)
def test_compiled_equals_fused(name, dtype):
    x = currents(8, 2, 4, 16, 17, dtype=dtype)
    assert_equals_fused("compiled", x, estimator=estimator(name))


@pytest.mark.slow
@unchecked
def test_compiled_takes_the_layouts_and_sizes_of_a_network():
    each = estimator("triangle")
    for x in (currents(1, 5, 8, 6, 6).expand(8, 5, 8, 6, 6), currents(8, 5, 33)):
        assert_equals_fused("compiled", x, estimator=each, theta=1.0, decay=1.0)
    last = currents(24, 4, 5, 6).contiguous(memory_format=torch.channels_last)
    assert_equals_fused("compiled", last.unflatten(0, (8, 3)), estimator=each)


@pytest.mark.slow
@unchecked
def test_compiled_saves_one_tensor_and_none_without_gradients():
    x, each = currents(8, 2, 50), estimator("triangle")
    with torch.no_grad():
        spikes = integrate_and_fire(x, theta=0.7, decay=0.9, estimator=each, kernel_name="compiled")
    assert torch.equal(spikes, run(FUSED, x, estimator=each).spikes)


@pytest.mark.slow
@unchecked
def test_compiled_neurons_train_to_nearly_the_same_weights():
    fused, compiled = (_weights_after_a_step(name) for name in (FUSED, "compiled"))
    for ours, theirs in zip(compiled, fused, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def _weights_after_a_step(name):
    digits = load("digits", limit=80)
    config = TrainConfig(method="srstar", penalty_weight=0.002, batch_size=32, neuron_kernel=name)
    fabric, _ = start(Processes(device="cpu"), config.precision)
    network = NetworkOptions(widths=(4, 6)).network(digits)
    training = Training(config, fresh(network, config), digits, fabric=fabric)
    training.network.train()
    training._step(*next(training._batches(1)), torch.Generator().manual_seed(1))
    return [parameter.detach() for parameter in training.network.parameters()]


def test_a_missing_compiler_is_one_line(monkeypatch):
    def failing(*given):
        raise BackendCompilerFailed(lambda: None, RuntimeError("no C++ compiler"), None)

    monkeypatch.setattr(neuron_compiled, "_compiled", lambda function: failing)
    with pytest.raises(MissingAbilityError, match="a compiler that torch.compile can use, got no"):
        run("compiled", currents(2, 3), estimator=estimator("triangle"))


def test_one_threshold_a_neuron_is_refused():
    x = currents(3, 4)
    with pytest.raises(ConfigError, match="expected one threshold and one decay for .* 'compiled'"):
        integrate_and_fire(
            x, theta=torch.ones(4), estimator=estimator("triangle"), kernel_name="compiled"
        )
