"""Convolutions of bytes with int8 weights by oneDNN: several times as fast as float32, and exact.

The sums are int32 and become float32 once at the end, so they are exact below 2²⁴. Processors
without VNNI may saturate pairs of products at 16 bits; a self-test on the worst operands decides
whether this path is used at all.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

INT8 = 127
BYTE = 255

Conv = Callable[[Tensor], Tensor]


@cache
def is_exact_here() -> bool:
    """Whether this machine's byte convolution gives the exact sum of the worst operands."""
    for weight_value in (INT8, -INT8):
        weight = torch.full((16, 32, 3, 3), weight_value, dtype=torch.float32)
        x = torch.full((2, 32, 8, 8), float(BYTE))
        try:
            found = pack(weight, stride=(1, 1), padding=(1, 1), dilation=(1, 1), groups=1)(x)
        except (RuntimeError, AttributeError, TypeError):
            return False
        if not torch.equal(found, F.conv2d(x.double(), weight.double(), padding=1).float()):
            return False
    return True


def fits(weight: Float[Tensor, "O I kH kW"]) -> bool:
    """Whether weights lie on a CPU and fit their bytes."""
    return weight.device.type == "cpu" and bool((weight.abs() <= INT8).all())


def pack(
    weight: Float[Tensor, "O I kH kW"],
    *,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> Conv:
    """A convolution with these whole-numbered weights, for whole-numbered inputs 0..255.

    Not differentiable.
    """
    geometry = ([*stride], [*padding], [*dilation], groups)
    onednn: Any = torch.ops.onednn
    packed = onednn.qconv_prepack(weight.to(torch.int8), *_unit(weight), *geometry, None)
    scales, zeros = torch.ones(len(weight)), torch.zeros(len(weight), dtype=torch.long)

    def convolve(x: Tensor) -> Tensor:
        return onednn.qconv2d_pointwise(
            x.to(torch.uint8), 1.0, 0, packed, scales, zeros, None, *geometry,
            1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip

    return convolve


def _unit(weight: Tensor) -> tuple[Tensor, float, int]:
    """No scaling of weights, no scaling and no zero point of inputs."""
    return torch.ones(len(weight)), 1.0, 0
