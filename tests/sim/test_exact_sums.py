"""Bounds on sums, the number format that follows, and machines that do not keep to it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from spikeproof.core.errors import RangeError
from spikeproof.sim.exact_sums import activation_bound, channel_bounds, exact_dtype, self_test
from spikeproof.sim.program import Synapse

CPU = torch.device("cpu")


def synapse(weight, **options):
    return Synapse(source="x", target="y", weight=np.asarray(weight, np.int32), **options)


@pytest.mark.parametrize(
    ("bound", "largest", "dtype"),
    [
        (0, 0, torch.float32),
        (2**24 - 1, 256, torch.float32),
        (2**24, 1, torch.float64),
        (257, 257, torch.float64),
        (2**53 - 1, 2**30, torch.float64),
    ],
)
def test_the_number_format_follows_from_the_bounds(bound, largest, dtype):
    assert exact_dtype(bound, largest=largest) == dtype


def test_sums_beyond_every_number_format_are_refused():
    with pytest.raises(RangeError, match=r"expected sums below 2\^53, got up to 9007199254740992"):
        exact_dtype(2**53, largest=1)


def test_the_bound_is_the_worst_output_at_the_peak():
    weight = np.array([[1, -2, 3], [-4, -5, -6]])
    assert activation_bound(synapse(weight), low=-10, high=10) == 150
    assert activation_bound(synapse(weight, shift=2), low=-10, high=10) == 38
    assert activation_bound(synapse(weight.reshape(2, 3, 1, 1)), low=-1, high=1) == 15


def test_the_bound_knows_that_spikes_have_one_sign():
    given = synapse([[1, -2, 3], [-4, -5, -6]])
    assert channel_bounds(given, low=0, high=1).tolist() == [4, 15]
    assert channel_bounds(given, low=-3, high=10).tolist() == [46, 150]
    assert channel_bounds(given, low=-10, high=-3).tolist() == [40, 150]


@pytest.mark.parametrize("inputs", [8, 16, 1 << 12])
def test_the_bound_does_not_overflow(inputs):
    given = synapse(np.full((1, inputs), 1 << 30))
    assert channel_bounds(given, low=-(1 << 30), high=1 << 30).tolist() == [1 << 54]
    with pytest.raises(RangeError, match=r"expected sums below 2\^53"):
        exact_dtype(activation_bound(given, low=0, high=1 << 30), largest=1 << 30)


def test_this_machine_passes_the_self_test():
    self_test(CPU)


@pytest.mark.parametrize("name", ["conv2d", "linear"])
@pytest.mark.parametrize("reduced", [torch.bfloat16, torch.float16])
def test_the_self_test_refuses_short_sums(monkeypatch, name, reduced):
    exact = getattr(F, name)
    monkeypatch.setattr(F, name, lambda x, weight: exact(x, weight).to(reduced).to(x.dtype))
    with pytest.raises(RangeError, match=r"exact torch.float32 sums on cpu, got a difference of"):
        self_test(CPU)


def test_the_self_test_refuses_the_loss_of_the_last_bit(monkeypatch):
    exact = F.conv2d
    monkeypatch.setattr(F, "conv2d", lambda x, w: (exact(x, w) / 2).round() * 2)
    with pytest.raises(RangeError, match="got a difference of 1; switch reduced precision off"):
        self_test(CPU)
