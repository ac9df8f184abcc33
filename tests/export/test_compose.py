# pyright: reportAttributeAccessIssue=false
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from spikeproof.core.errors import UnsupportedNodeError
from spikeproof.export.compose import compose
from spikeproof.export.linear_map import Conv, Dense, Same, added, depthwise, explicit, through

MAP = (4, 6, 9)
RNG = np.random.default_rng(2)


def conv(before, outputs=6, kernel=(3, 2), groups=1, **options):
    weight = RNG.normal(size=(outputs, before[0] // groups, *kernel))
    made = Conv(before=before, after=(), weight=weight, groups=groups, **options)
    return Conv(**{**vars(made), "after": made.map_shape})


def pool(before, size=(2, 3), **options):
    return conv(before, before[0], size, before[0], **({"stride": size} | options))


def dense(before, outputs=5):
    weight = RNG.normal(size=(outputs, int(np.prod(before))))
    return Dense(before=before, after=(outputs,), weight=weight)


def flat(before):
    return Same(before=before, after=(int(np.prod(before)),))


def apply(linear, x):
    """The map on `[N, *before]`, by torch."""
    if isinstance(linear, Same):
        return x.reshape(len(x), *linear.after)
    weight = torch.from_numpy(linear.weight)
    if isinstance(linear, Dense):
        return F.linear(x.flatten(1), weight)
    geometry = linear.stride, linear.padding, linear.dilation, linear.groups
    return F.conv2d(x, weight, None, *geometry).reshape(len(x), *linear.after)


def assert_composed(first, second):
    x = torch.from_numpy(RNG.normal(size=(3, *first.before)))
    both = compose(first, second, name="second")
    assert (both.before, both.after) == (first.before, second.after)
    expected = apply(second, apply(first, x))
    torch.testing.assert_close(apply(both, x), expected, rtol=1e-12, atol=1e-12)
    return both


FIRST = {
    "1x1": lambda: conv(MAP, 4, (1, 1)),
    "1x1 strided": lambda: conv(MAP, 4, (1, 1), stride=(2, 3)),
    "1x1 padded": lambda: conv(MAP, 4, (1, 1), padding=(1, 2)),
    "pool": lambda: pool(MAP),
    "scale": lambda: depthwise(MAP, RNG.normal(size=(4, 1, 1, 1))),
    "identity": lambda: Same(before=MAP, after=MAP),
}
SECOND = {
    "padded": {"padding": (1, 2)},
    "grouped": {"groups": 2, "padding": (1, 1), "stride": (2, 1)},
    "dilated": {"dilation": (1, 2), "kernel": (2, 2), "padding": (1, 1)},
    "1x1": {"kernel": (1, 1), "stride": (2, 1)},
}


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("second", SECOND)
def test_convolution_behind_a_map_that_keeps_zeros_outside_is_one_convolution(first, second):
    before = FIRST[first]()
    both = assert_composed(before, conv(before.after, **SECOND[second]))
    assert both.before == MAP


@pytest.mark.parametrize(
    "first",
    [
        {"padding": (1, 1)},
        {"stride": (2, 1), "groups": 2},
        {"dilation": (2, 3)},
        {"padding": (3, 0)},
    ],
)
@pytest.mark.parametrize("second", [{}, {"groups": 2, "stride": (1, 2)}, {"kernel": (1, 1)}])
def test_any_convolution_takes_an_unpadded_one_behind_it(first, second):
    before = conv(MAP, **first)
    assert_composed(before, conv(before.after, **({"kernel": (2, 2)} | second)))


def test_pool_keeps_the_groups_behind_it():
    both = assert_composed(pool(MAP), conv((4, 3, 3), groups=2, padding=(1, 0)))
    assert (both.groups, both.weight.shape) == (2, (6, 2, 6, 6))


def test_pool_behind_a_convolution_is_one_convolution():
    first = conv(MAP, padding=(1, 1), groups=2)
    assert_composed(first, pool(first.after, (2, 2)))


def test_strided_point_becomes_a_dilation():
    both = assert_composed(conv(MAP, 4, (1, 1), stride=(2, 3)), conv((4, 3, 3), padding=(1, 1)))
    assert (both.weight.shape, both.dilation, both.padding) == ((6, 4, 3, 2), (2, 3), (2, 3))


@pytest.mark.parametrize(
    "first", [{}, {"padding": (2, 1)}, {"stride": (2, 3), "groups": 2}, {"stride": (4, 5)}]
)
def test_dense_behind_a_flattened_convolution_is_one_dense_map(first):
    before = conv(MAP, **first)
    between = assert_composed(before, flat(before.after))
    assert_composed(between, dense(between.after))


def test_dense_maps_in_a_row_are_one():
    assert_composed(assert_composed(flat(MAP), dense((216,))), dense((5,)))


def test_padding_behind_a_convolution_is_refused():
    first = conv(MAP, padding=(1, 1), kernel=(3, 3))
    with pytest.raises(UnsupportedNodeError, match="no padding at node 'late' behind another"):
        compose(first, conv(first.after, padding=(1, 1)), name="late")


def test_padding_behind_a_pool_that_drops_a_row_is_refused():
    first = pool((4, 7, 9))
    with pytest.raises(UnsupportedNodeError, match=r"got \(1, 1\); what that node leaves"):
        compose(first, conv(first.after, padding=(1, 1)), name="late")


@pytest.mark.parametrize(
    "linear",
    [
        flat(MAP),
        Same(before=MAP, after=MAP),
        dense(MAP),
        conv(MAP, stride=(2, 1), groups=2),
        compose(conv(MAP), flat((6, 4, 8)), name="flat"),
    ],
)
def test_constant_goes_through_a_map_as_its_values_do(linear):
    bias = RNG.normal(size=4)
    x = torch.from_numpy(np.broadcast_to(bias[:, None, None], (1, *MAP)).copy())
    expected = apply(linear, x)[0].flatten(1 if len(linear.after) == 3 else 0)
    found = torch.from_numpy(through(linear, bias, name="late"))
    found = found[:, None].expand(expected.shape) if expected.ndim == 2 else found
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_constant_before_padding_is_refused():
    with pytest.raises(UnsupportedNodeError, match="no bias before the padded convolution 'late'"):
        through(conv(MAP, padding=(1, 0)), np.ones(4), name="late")
    assert not through(conv(MAP, padding=(1, 0)), np.zeros(4), name="late").any()


def test_maps_of_one_geometry_add_up():
    one, other = conv(MAP, padding=(1, 1)), conv(MAP, padding=(1, 1))
    both = added(one, other)
    assert both is not None
    np.testing.assert_array_equal(both.weight, one.weight + other.weight)


@pytest.mark.parametrize("other", [conv(MAP, padding=(1, 0)), dense(MAP), conv(MAP, 6, (1, 1))])
def test_maps_of_other_geometry_do_not_add_up(other):
    assert added(conv(MAP, padding=(1, 1)), other) is None


@pytest.mark.parametrize("shape", [MAP, (7,)])
def test_explicit_identity_changes_nothing(shape):
    x = torch.from_numpy(RNG.normal(size=(2, *shape)))
    linear = explicit(Same(before=shape, after=shape), name="fire")
    torch.testing.assert_close(apply(linear, x), x, rtol=0, atol=0)
    assert linear.weight.size in (4, 49)


def test_explicit_flatten_is_refused():
    with pytest.raises(UnsupportedNodeError, match="vector of node 'fire', got a flatten alone"):
        explicit(flat(MAP), name="fire")
