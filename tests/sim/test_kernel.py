"""One synapse: exact sums by whatever computes them, wrapped where Lava's wrap."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from spikeproof.sim import kernel as sim_kernel
from spikeproof.sim.byte_conv import missing_reason
from spikeproof.sim.exact_sums import activation_bound, exact_dtype
from spikeproof.sim.kernel import Kernel
from spikeproof.sim.program import Synapse

CPU = torch.device("cpu")


def synapse(weight, **options):
    return Synapse(source="x", target="y", weight=np.asarray(weight, np.int32), **options)


def apply(given, x, *, peak):
    """Sums of int64 inputs, exactly as a twin with this one synapse would compute them."""
    bound = activation_bound(given, low=-peak, high=peak) << given.shift
    dtype = exact_dtype(bound, largest=max(peak, int(np.abs(given.weight).max())))
    kernel = Kernel(given, given.weight, low=-peak, high=peak, dtype=dtype, device=CPU)
    return kernel(torch.from_numpy(np.asarray(x, np.float64)))


@pytest.mark.parametrize("missing", [1, 0, -1, -12345])
def test_dense_sums_are_exact_on_both_sides_of_the_switch(missing):
    weight = np.full((1, 2**16 + 99), 255)
    weight[0, -99:] = np.arange(99) % 7
    weight[0, 0] -= (weight.sum() - (2**24 - missing)) % 255
    total, ones = int(weight.sum()), np.ones((2, weight.size))
    assert apply(synapse(weight), ones, peak=1).tolist() == [[total]] * 2


def test_float32_would_not_be_exact_above_the_switch():
    given = synapse(np.full((1, 2**16 + 259), 255))
    kernel = Kernel(given, given.weight, low=-1, high=1, dtype=torch.float32, device=CPU)
    total = 255 * (2**16 + 259)
    assert total > 2**24
    assert total % 2 == 1
    assert kernel(torch.ones(1, given.weight.size)).item() != total


@pytest.fixture
def reduced_products():
    """bfloat16 products, where this machine has them."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.usefixtures("reduced_products")
@pytest.mark.parametrize(("peak", "largest"), [(1, 254), (255, 100), (1, 16383), (1001, 7)])
def test_sums_are_exact_with_reduced_precision_switched_on(rng, peak, largest):
    weight = rng.integers(-largest, largest + 1, (64, 256))
    x = rng.integers(-peak, peak + 1, (64, 256))
    np.testing.assert_array_equal(apply(synapse(weight), x, peak=peak).numpy(), x @ weight.T)


def test_convolution_sums_are_exact_just_below_the_bound():
    weight = np.full((3, 56, 3, 3), 130)
    bound = 56 * 9 * 130 * 255
    assert 2**23 < bound < 2**24
    sums = apply(synapse(weight), np.full((2, 56, 5, 5), 255), peak=255)
    assert sums.dtype == torch.float32
    assert sums.unique().tolist() == [bound - 2**24]


@pytest.mark.parametrize(
    ("x", "expected"),
    [(1, 2**23 - 1), (2, -2), (-1, 1 - 2**23), (3, 2**23 - 3), (64, -64), (-64, 64)],
)
def test_convolution_sums_wrap_to_24_bits(x, expected):
    given = synapse(np.full((1, 1, 1, 1), 2**23 - 1))
    assert apply(given, [[[[x]]]], peak=64).item() == expected


def test_dense_sums_do_not_wrap_to_24_bits():
    assert apply(synapse([[2**23 - 1]]), [[64]], peak=64).item() == 64 * (2**23 - 1)


def test_shifts_round_down():
    sums = apply(synapse([[1], [-1], [-255]], shift=8), [[1], [-256], [2]], peak=256)
    assert sums.tolist() == [[0, -1, -1], [-1, 1, 255], [0, -1, -2]]


def test_sums_without_delay_overflow_in_32_bits_before_the_shift():
    x = [[2**22, 2**22, 2**22]]
    given, delayed = ([[-255, -255, -255]], {"shift": 8, "delay": 1})
    assert apply(synapse(given, shift=8), x, peak=2**22).item() == (2**32 - 765 * 2**22) >> 8
    assert apply(synapse(given, **delayed), x, peak=2**22).item() == -765 * 2**14


@pytest.mark.parametrize("delay", [1, np.zeros((1, 2), np.int64)])
def test_each_delayed_product_overflows_in_32_bits(delay):
    given = synapse([[-255, 128]], shift=8, delay=delay)
    assert apply(given, [[2**24, 5]], peak=2**24).item() == (2**24 + 640) >> 8


def test_convolution_sums_that_int32_does_not_hold_become_zero():
    given = synapse(np.full((1, 1, 1, 1), 3))
    sums = [apply(given, [[[[x]]]], peak=2**30).item() for x in (2**30, -(2**30), 2**29 + 1)]
    assert sums == [0, 0, 3]


def test_gradients_pass_wraps_and_shifts_as_if_they_were_not_there():
    x = torch.tensor([[3.0, -7.0]], dtype=torch.float64, requires_grad=True)
    given = synapse([[5, -3]], shift=3)
    kernel = Kernel(given, given.weight, low=-9, high=9, dtype=torch.float32, device=CPU)
    (grad,) = torch.autograd.grad(kernel(x).sum(), x)
    assert grad.tolist() == [[5 / 8, -3 / 8]]


@pytest.mark.parametrize("value", [2, 64])
def test_a_wrapped_sum_is_the_same_with_gradients(value):
    given = synapse(np.full((1, 1, 1, 1), 2**23 - 1))
    kernel = Kernel(given, given.weight, low=-64, high=64, dtype=torch.float64, device=CPU)
    x = torch.full((1, 1, 1, 1), float(value), dtype=torch.float64)
    assert torch.equal(kernel(x.clone().requires_grad_()).detach(), kernel(x))


def exact_conv(given, x):
    weight = torch.from_numpy(given.weight.astype(np.float64))
    geometry = {"stride": given.stride, "padding": given.padding, "groups": given.groups}
    return F.conv2d(torch.from_numpy(x.astype(np.float64)), weight, **geometry)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("largest", "peak"), [(127, 256), (257, 1), (4000, 20), (30000, 7), (32639, 1)]
)
def test_convolutions_beyond_float32_are_summed_in_exact_parts(rng, largest, peak, groups):
    weight = rng.integers(-largest, largest + 1, (6, 600 // groups, 3, 3))
    weight[1::2] = largest
    given = synapse(weight, padding=(1, 1), groups=groups)
    kernel = Kernel(given, given.weight, low=-peak, high=peak, dtype=torch.float64, device=CPU)
    assert kernel.arithmetic == "float32 in 2 parts"
    kernel.wrapping = None  # what is claimed here is the sum before Lava's 24 bits
    for x in (np.full((2, 600, 4, 4), peak), rng.integers(-peak, peak + 1, (2, 600, 4, 4))):
        assert torch.equal(kernel(torch.from_numpy(x.astype(np.float64))), exact_conv(given, x))


@pytest.mark.parametrize(("largest", "peak"), [(2**20, 1), (100, 257)])
def test_convolutions_that_no_two_parts_hold_stay_in_float64(largest, peak):
    given = synapse(np.full((2, 600, 3, 3), largest))
    kernel = Kernel(given, given.weight, low=-peak, high=peak, dtype=torch.float64, device=CPU)
    assert kernel.arithmetic == "float64"


def test_gradients_of_parts_are_those_of_the_whole(rng):
    given = synapse(rng.integers(-4000, 4001, (6, 8, 3, 3)), stride=(2, 2), padding=(1, 1))
    kernel = Kernel(given, given.weight, low=-1, high=1, dtype=torch.float64, device=CPU)
    assert kernel.arithmetic == "float32 in 2 parts"
    x, y = (torch.ones(2, 8, 7, 7, dtype=torch.float64, requires_grad=True) for _ in range(2))
    kernel(x).sum().backward()
    F.conv2d(y, kernel.weight, stride=2, padding=1).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)


@pytest.mark.parametrize("stride", [1, 2])
def test_spikes_are_convolved_in_bytes_with_the_gradient_of_floats(rng, stride):
    given = synapse(rng.integers(-127, 128, (9, 64, 3, 3)), stride=(stride, stride), padding=(1, 1))
    kernel = spikes_kernel(given)
    start = torch.from_numpy(rng.integers(0, 2, (3, 64, 12, 12))).float()
    x, y = start.clone().requires_grad_(), start.clone().requires_grad_()
    ours, theirs = kernel(x), F.conv2d(y, kernel.weight, stride=stride, padding=1)
    assert torch.equal(ours, theirs)
    ours.square().sum().backward()
    theirs.square().sum().backward()
    torch.testing.assert_close(x.grad, y.grad)


def spikes_kernel(given):
    """What a twin makes of a synapse that carries spikes."""
    kernel = Kernel(given, given.weight, low=0, high=1, dtype=torch.float32, device=CPU)
    if reason := missing_reason():
        pytest.skip(f"NOT TESTED: bytes are not exact here: {reason}")
    assert kernel.arithmetic == "bytes"
    return kernel


def test_a_machine_that_fails_the_self_test_sums_in_floats(monkeypatch):
    monkeypatch.setattr(sim_kernel, "missing_reason", lambda: "a test says so")
    given = synapse(np.ones((9, 64, 3, 3)))
    kernel = Kernel(given, given.weight, low=0, high=1, dtype=torch.float32, device=CPU)
    assert kernel.arithmetic == "float32"
