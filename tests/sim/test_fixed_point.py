"""One neuron's arithmetic at the edges of its registers."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spikeproof.sim.fixed_point import STATE_MAX, convolved_activation, decay, step, wrap

RATES = [0, 1, 2048, 4095, 4096]
INT32 = st.integers(-(2**31), 2**31 - 1)


def int32(*values):
    return torch.tensor(values, dtype=torch.int32)


def in_int32(value):
    """What Python's unbounded integers become in 32 bits."""
    return (value + 2**31) % 2**32 - 2**31


@pytest.mark.parametrize("rate", RATES)
def test_decay_is_odd(rate):
    x = torch.arange(-5000, 5001, dtype=torch.int32)
    assert torch.equal(decay(-x, rate), -decay(x, rate))


@given(INT32, st.integers(-4096, 8192))
def test_decay_rounds_the_product_towards_zero(x, rate):
    product = x * (4096 - rate)
    rounded = abs(product) // 4096 * (1 if product > 0 else -1)
    assert decay(int32(x), rate).item() == in_int32(rounded)


def test_decay_of_zero_keeps_and_of_4096_forgets():
    x = int32(-(2**31), -1, 0, 1, 2**31 - 1)
    assert torch.equal(decay(x, 0), x)
    assert decay(x, 4096).tolist() == [0] * 5


def test_the_slowest_decay_ends_at_zero_from_both_sides():
    assert decay(int32(-1, 1, -4096, 4096), 1).tolist() == [0, 0, -4095, 4095]


@pytest.mark.parametrize(
    ("u", "expected"),
    [
        (STATE_MAX - 1, STATE_MAX - 1),
        (STATE_MAX, STATE_MAX),
        (STATE_MAX + 1, 1 - STATE_MAX),
        (1 - STATE_MAX, 1 - STATE_MAX),
        (-STATE_MAX, STATE_MAX),
        (-STATE_MAX - 1, STATE_MAX - 1),
        (3 * STATE_MAX, STATE_MAX),
        (3 * STATE_MAX + 1, STATE_MAX + 1),
        (-3 * STATE_MAX, -STATE_MAX),
        (-3 * STATE_MAX - 1, -STATE_MAX - 1),
        (2**31 - 1, 2**31 - 1 - 2**24),
        (-(2**31), 2**24 - 2**31),
    ],
)
def test_wrap_corrects_once(u, expected):
    assert wrap(int32(u)).item() == expected


@given(st.integers(1 - STATE_MAX, STATE_MAX))
def test_wrap_keeps_what_fits(u):
    assert wrap(int32(u)).item() == u


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (STATE_MAX - 1, STATE_MAX - 1),
        (STATE_MAX, -STATE_MAX),
        (-STATE_MAX, -STATE_MAX),
        (-STATE_MAX - 1, STATE_MAX - 1),
        (2 * STATE_MAX, 0),
        (5 * STATE_MAX, -STATE_MAX),
        ((1 << 31) - 1, -1),
        ((1 << 31) + 1, 0),
        (-(1 << 31) - 1, 0),
    ],
)
def test_wrap_of_activations_is_at_the_24_bit_edges(x, expected):
    assert convolved_activation(torch.tensor(x)).item() == expected


@given(INT32)
def test_wrap_of_activations_is_modulo_24_bits(x):
    wrapped = convolved_activation(torch.tensor(x)).item()
    assert (wrapped - x) % 2**24 == 0
    assert -STATE_MAX <= wrapped < STATE_MAX


def one_step(u, v, a, *, du=4096, dv=0, bias=None):
    """u and v of a single neuron after a step."""
    bias = None if bias is None else int32(bias)
    after = step(int32(u), int32(v), int32(a), du=du, dv=dv, bias=bias)
    return tuple(register.item() for register in after)


def test_activations_biases_and_registers_add_up_in_64ths():
    assert one_step(640, -64, 3, du=2048, dv=2048, bias=-2) == (512, 512 - 32 - 128)


def test_activations_overflow_in_32_bits():
    assert one_step(0, 0, 2**25, dv=4096)[0] == 2**24 - 2**31
    assert one_step(0, 0, 2**26 + 5, dv=4096) == (320, 320)


@pytest.mark.parametrize("sign", [-1, 1])
def test_v_is_clipped_one_below_the_range_of_u(sign):
    _, v = one_step(0, sign * (STATE_MAX - 1), sign, bias=sign * 32767)
    assert v == sign * (STATE_MAX - 1)


def test_v_overflows_in_32_bits_before_it_is_clipped():
    u, v = one_step(2**31 - 1, 0, 0, du=0, dv=4096, bias=32767)
    assert (u, v) == (2**31 - 1 - 2**24, STATE_MAX - 1)
    assert one_step(2**31 - 1, STATE_MAX - 1, 0, du=0, bias=32767)[1] == STATE_MAX - 1


def test_step_changes_none_of_its_arguments():
    u, v, a = int32(5, -5), int32(7, -7), int32(1, -1)
    step(u, v, a, du=1, dv=1, bias=int32(3))
    assert [x.tolist() for x in (u, v, a)] == [[5, -5], [7, -7], [1, -1]]


def test_registers_are_int32():
    u, v = step(int32(1), int32(1), int32(1), du=7, dv=7, bias=int32(1))
    assert (u.dtype, v.dtype) == (torch.int32, torch.int32)
    assert np.iinfo(np.int32).bits == 32
