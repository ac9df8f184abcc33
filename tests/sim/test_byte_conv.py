"""Convolutions of bytes: exact at every geometry they claim, and refused where they are not."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spikeproof.sim import byte_conv
from spikeproof.sim.byte_conv import ByteConv, fits, missing_reason

pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")
PAIRS = st.tuples(st.integers(1, 6), st.integers(1, 6))
STRIDES = st.tuples(st.integers(1, 3), st.integers(1, 3))
PADDINGS = st.tuples(st.integers(0, 7), st.integers(0, 7))


@pytest.fixture(autouse=True)
def _only_where_exact():
    if reason := missing_reason():
        pytest.skip(f"NOT TESTED: bytes are not exact here: {reason}")


@given(PAIRS, STRIDES, PADDINGS, PAIRS, st.integers(0, 2**31), st.booleans())
@settings(max_examples=150)
def test_sums_of_bytes_equal_those_of_doubles(kernel, stride, padding, room, seed, last):
    size = [n + k - 1 for n, k in zip(room, kernel, strict=True)]
    generator = torch.Generator().manual_seed(seed)
    channels, outputs = (1 + seed // n % 40 for n in (1, 40))
    weight = torch.randint(-127, 128, (outputs, channels, *kernel), generator=generator).float()
    x = torch.randint(0, 256, (1 + seed % 3, channels, *size), generator=generator).float()
    x = x.contiguous(memory_format=torch.channels_last) if last else x
    expected = F.conv2d(x.double(), weight.double(), stride=stride, padding=padding)
    assume(float(expected.abs().max()) < 2**24)
    assert torch.equal(ByteConv(weight, stride=stride, padding=padding)(x).double(), expected)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("stride", "padding", "kernel"), [(1, 1, 3), (2, 1, 3), (2, 2, 6)])
def test_the_worst_operands_are_summed_exactly(sign, stride, padding, kernel):
    channels = 500 // kernel**2
    weight = torch.full((64, channels, kernel, kernel), 127.0 * sign)
    x = torch.full((2, channels, 12, 12), 255.0)
    pair, around = (stride, stride), (padding, padding)
    expected = F.conv2d(x.double(), weight.double(), stride=stride, padding=padding)
    assert 0.9 * 2**24 < expected.abs().max() < 2**24
    assert torch.equal(ByteConv(weight, stride=pair, padding=around)(x).double(), expected)


@pytest.mark.parametrize(
    ("largest", "dilation", "groups", "expected"),
    [
        (127, (1, 1), 1, True),
        (128, (1, 1), 1, False),
        (1, (2, 1), 1, False),
        (1, (1, 1), 2, False),
    ],
)
def test_only_what_the_self_test_covers_fits(largest, dilation, groups, expected):
    weight = torch.full((4, 2, 3, 3), float(-largest))
    assert fits(weight, dilation=dilation, groups=groups) is expected


@pytest.fixture
def untested():
    """A self-test that has not run yet, here and afterwards."""
    missing_reason.cache_clear()
    yield
    missing_reason.cache_clear()


@pytest.mark.usefixtures("untested")
@pytest.mark.parametrize("bits", [15, 16])
def test_the_self_test_refuses_saturating_pairs(monkeypatch, bits):
    exact = ByteConv.__call__
    limit = 2.0**bits - 1
    monkeypatch.setattr(ByteConv, "__call__", lambda self, x: exact(self, x).clamp(-limit, limit))
    assert "was off by" in missing_reason()


@pytest.mark.usefixtures("untested")
def test_the_self_test_refuses_a_stride_that_is_ignored(monkeypatch):
    blocks = byte_conv._blocks
    monkeypatch.setattr(byte_conv, "_blocks", lambda x, *rest: blocks(x, *rest).flip(1))
    monkeypatch.setattr(
        ByteConv, "_arranged", lambda self, x: torch.roll(x, 1, 2) if max(self.stride) > 1 else x
    )
    assert missing_reason() != ""


@pytest.mark.usefixtures("untested")
def test_the_self_test_names_what_is_missing(monkeypatch):
    monkeypatch.setattr(byte_conv, "_onednn", lambda: object())
    assert missing_reason().startswith("oneDNN refused it ('object' object has no attribute")
