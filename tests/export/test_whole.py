"""Whole numbers in ONNX graphs: every operation as Python's, and no range that overflows."""

import numpy as np
import pytest

from spikeproof.core.errors import RangeError
from spikeproof.export import whole
from spikeproof.export.onnx_scope import Scope, run_onnx
from spikeproof.export.whole import Whole

X = np.array([-(2**31), -(2**24), -4097, -129, -64, -1, 0, 1, 63, 64, 4096, 2**24, 2**31 - 1])


def answer(operation, values=X, dtype: type = np.int64):
    """What a graph with one operation makes of values, and the range it claims."""
    scope = Scope()
    x = Whole(name="x", low=int(values.min()), high=int(values.max()), dtype=dtype)
    found = operation(scope, x)
    scope.rename(scope.cast(found.name, np.int64), "y")
    shape = ["N"]
    model = scope.model(
        name="one",
        doc="",
        inputs={"x": (dtype, shape)},
        outputs={"y": (np.int64, shape)},
        metadata={},
    )
    y = run_onnx(model, {"x": values.astype(dtype)})["y"]
    assert found.low <= y.min()
    assert y.max() <= found.high
    return y.tolist()


@pytest.mark.parametrize("bits", [0, 1, 7, 12])
def test_shift_rounds_down(bits):
    assert answer(lambda s, x: whole.shifted_right(s, x, bits)) == [int(x) >> bits for x in X]


@pytest.mark.parametrize("divisor", [1, 64, 4096])
def test_division_rounds_towards_zero(divisor):
    expected = [abs(int(x)) // divisor * (1 if x > 0 else -1) for x in X]
    assert answer(lambda s, x: whole.towards_zero(s, x, divisor)) == expected


@pytest.mark.parametrize("bits", [8, 24, 32])
def test_wrap_is_twos_complement(bits):
    half = 1 << (bits - 1)
    expected = [(int(x) + half) % (2 * half) - half for x in X]
    assert answer(lambda s, x: whole.wrapped(s, x, bits)) == expected


def test_wrap_of_what_fits_writes_nothing():
    scope, x = Scope(), Whole(name="x", low=-128, high=127, dtype=np.int32)
    assert whole.wrapped(scope, x, 8) is x


@pytest.mark.parametrize("factor", [1, -3, 4096, 2**31])
def test_product_leaves_32_bits_where_it_has_to(factor):
    assert answer(lambda s, x: whole.times(s, x, factor)) == [int(x) * factor for x in X]


def test_sum_of_int32_does_not_overflow():
    expected = [2 * int(x) for x in X]
    assert answer(lambda s, x: whole.add(s, x, x), dtype=np.int32) == expected


@pytest.mark.parametrize("bound", [-(2**40), -64, 0, 64, 2**40])
def test_comparison_is_strict(bound):
    found = answer(
        lambda s, x: Whole(name=whole.is_above(s, x, bound), low=0, high=1, dtype=np.bool_),
        X[1:],
        np.int32,
    )
    assert found == [int(x > bound) for x in X[1:]]


def test_clip_keeps_the_rails():
    found = answer(lambda s, x: whole.clipped(s, x, -64, 63), dtype=np.int32)
    assert found == [max(-64, min(63, int(x))) for x in X]


def test_sum_beyond_64_bits_is_refused():
    x = Whole(name="x", low=0, high=2**62, dtype=np.int64)
    with pytest.raises(
        RangeError, match=r"whole numbers of 64 bits .*, got 0\.\.9223372036854775808"
    ):
        whole.add(Scope(), x, x)
