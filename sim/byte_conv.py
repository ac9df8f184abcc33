"""Convolutions of bytes with int8 weights by oneDNN: several times as fast as float32, and exact.

The sums are int32 and become float32 once at the end, so they are exact below 2²⁴. Three things
are known to go wrong and are kept away from: processors without VNNI may saturate pairs of products
at 16 bits, strides above 1 give wrong sums, and so may padding beyond the kernel. A strided
convolution is therefore rewritten as one of stride 1 on blocks of its input, and a self-test on the
worst operands decides whether this path is used at all.
"""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

INT8 = 127
BYTE = 255
MANY_CHANNELS, MANY_PIXELS = 16, 16
"""From here on bytes were faster than float32 where it was measured."""
GEOMETRIES = ((3, 16, 3, 1), (64, 64, 3, 1), (32, 17, 3, 2), (33, 48, 2, 0), (64, 32, 1, 0))
"""Input and output channels, kernel and padding that the self-test tries."""

Pair = tuple[int, int]


class ByteConv:
    """A convolution with these whole-numbered weights, for whole-numbered inputs 0..255.

    Not differentiable; sums come out channels last.

    Args:
        weight: −127..127 in floats.
        stride, padding: `(H, W)`; dilation and groups are 1.
    """

    def __init__(self, weight: Float[Tensor, "O I kH kW"], *, stride: Pair, padding: Pair) -> None:
        self.stride, self.padding = stride, padding
        self.kernel = (weight.shape[2], weight.shape[3])
        inner = all(p < k for p, k in zip(padding, self.kernel, strict=True))
        # What oneDNN itself pads; the rest is padded beforehand.
        self.within = padding if stride == (1, 1) and inner else (0, 0)
        bytes_ = _blocks(weight.to(torch.int8), stride) if stride != (1, 1) else weight.char()
        self._ones, self._zeros = torch.ones(len(weight)), torch.zeros(len(weight)).long()
        self._geometry = [1, 1], [*self.within], [1, 1], 1
        self._packed = _onednn().qconv_prepack(
            bytes_.contiguous(), self._ones, 1.0, 0, *self._geometry, None
        )

    def pays(self, x: Float[Tensor, "B I H W"]) -> bool:
        """Whether bytes are faster than float32: few channels and small maps are not worth it."""
        pixels = [
            (size + 2 * p - k) // s + 1
            for size, p, k, s in zip(
                x.shape[2:], self.padding, self.kernel, self.stride, strict=True
            )
        ]
        enough = MANY_CHANNELS if self.stride == (1, 1) else 4 * MANY_CHANNELS
        return x.shape[1] >= enough and pixels[0] * pixels[1] >= MANY_PIXELS

    def __call__(self, x: Float[Tensor, "B I H W"]) -> Float[Tensor, "B O h w"]:
        """Sums of all fields."""
        sums: Tensor = _onednn().qconv2d_pointwise(
            self._arranged(x.to(torch.uint8)), 1.0, 0, self._packed, self._ones, self._zeros, None,
            *self._geometry, 1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        return sums

    def _arranged(self, x: UInt8[Tensor, "B I H W"]) -> UInt8[Tensor, "B i h w"]:
        """Padded as far as oneDNN does not, and in blocks where there is a stride."""
        (above, left), (high, wide) = self.padding, x.shape[2:]
        if self.within != self.padding:
            x = F.pad(x, (left, left, above, above))
        if self.stride == (1, 1):
            return x
        # Exactly as many blocks as the kernel visits.
        blocks = [
            (size + 2 * p - k) // s + -(-k // s)
            for size, p, k, s in zip(
                (high, wide), self.padding, self.kernel, self.stride, strict=True
            )
        ]
        return _blocks(x, self.stride, blocks)


def _blocks(x: Tensor, stride: Pair, blocks: list[int] | None = None) -> Tensor:
    """Each block of `stride` pixels becomes one pixel with as many times the channels.

    A stride of one block then is a stride of one pixel. The edges are cut or filled with zeros.
    """
    (down, right), (high, wide) = stride, x.shape[2:]
    rows, columns = blocks or (-(-high // down), -(-wide // right))
    x = F.pad(x, (0, columns * right - wide, 0, rows * down - high))
    x = x.reshape(len(x), x.shape[1], rows, down, columns, right)
    return x.permute(0, 1, 3, 5, 2, 4).reshape(len(x), -1, rows, columns)


@cache
def missing_reason() -> str:
    """Why this machine's byte convolution is not used; empty where it is exact.

    All weights at one rail against all inputs at the other, weights of alternating sign, and
    halves: short accumulators, saturating pairs and misplaced borders all show.
    """
    for inputs, outputs, kernel, padding in GEOMETRIES:
        weight = torch.full((outputs, inputs, kernel, kernel), float(INT8))
        signs = torch.tensor([1.0, -1.0]).repeat(inputs)[:inputs].reshape(1, -1, 1, 1)
        for stride in ((1, 1), (2, 2)):
            for each in (weight, -weight, weight * signs):
                for x in (torch.full((2, inputs, 9, 8), 255.0), _half(inputs)):
                    if reason := _difference(each, x, stride, (padding, padding)):
                        return reason
    return ""


def _half(channels: int) -> Tensor:
    """Zeros and ones without a pattern along any axis."""
    return (torch.arange(3 * channels * 63).reshape(3, channels, 9, 7) * 7919 % 13 < 5).float()


def _difference(weight: Tensor, x: Tensor, stride: Pair, padding: Pair) -> str:
    try:
        found = ByteConv(weight, stride=stride, padding=padding)(x)
    except (RuntimeError, AttributeError, TypeError, NotImplementedError) as error:
        return f"oneDNN refused it ({str(error).splitlines()[0]})"
    expected = F.conv2d(x.double(), weight.double(), stride=stride, padding=padding)
    if torch.equal(found.double(), expected):
        return ""
    off = float((found.double() - expected).abs().max())
    return f"a sum of {weight[0].numel()} products was off by {off:g} on this processor"


def fits(weight: Float[Tensor, "O I kH kW"], *, dilation: Pair, groups: int) -> bool:
    """Whether a convolution of bytes lies in the class that the self-test covers, on a CPU."""
    plain = dilation == (1, 1) and groups == 1 and weight.device.type == "cpu"
    return plain and bool((weight.abs() <= INT8).all())


def _onednn() -> Any:
    return torch.ops.onednn
