"""NIR's nodes without memory: dense, convolution, pooling, scaling, flattening."""

import math

import nir
import numpy as np
import torch.nn.functional as F
from torch import Tensor

from ...core.errors import FormatError
from .layers import LinearLayer, Shape, Site, over_time


def affine(site: Site) -> LinearLayer:
    """y = W·x + b on a vector."""
    weight = site.array("weight")
    if weight.ndim != 2:
        raise site.unsupported(
            "a weight of 2 axes", f"{weight.ndim}", "write one node per matrix instead"
        )
    site.require_shape((weight.shape[1],), f"{site.kind} weight {weight.shape}")
    w, b = site.tensor(weight), _bias(site, weight.shape[0])
    return LinearLayer(shape=weight.shape[:1], apply=lambda x: F.linear(x, w, b))


def scale(site: Site) -> LinearLayer:
    """y = s⊙x."""
    factor = site.array("scale")
    if factor.size != 1:
        site.require_shape(factor.shape, "Scale")
    s = site.tensor(factor.reshape(()) if factor.size == 1 else factor)
    return LinearLayer(shape=site.shape, apply=lambda x: x * s)


def conv1d(site: Site) -> LinearLayer:
    """Cross-correlation along one axis, zero padded."""
    return _convolution(site, 1)


def conv2d(site: Site) -> LinearLayer:
    """Cross-correlation along two axes, zero padded."""
    return _convolution(site, 2)


def sum_pool2d(site: Site) -> LinearLayer:
    """Sum over windows."""
    return _pool(site, divisor=1)


def avg_pool2d(site: Site) -> LinearLayer:
    """Mean over windows; padding counts as zeros, so that it is SumPool2d times a constant."""
    return _pool(site, divisor=None)


def flatten(site: Site) -> LinearLayer:
    """Merges the axes `start_dim` to `end_dim`, both included and counted without the batch.

    A node whose own input has an axis more than what reaches it (Sinabs writes four zeros for a
    map) counts with the batch.
    """
    rank = len(site.shape)
    (start,), (end,) = site.integers("start_dim", 1), site.integers("end_dim", 1)
    if _counts_batch(site) and start > 0:
        start, end = start - 1, end - 1 if end > 0 else end
    first, last = start % rank, end % rank
    if not (-rank <= start < rank and -rank <= end < rank and first <= last):
        raise FormatError(
            f"expected start_dim <= end_dim within {rank} axes at node {site.name!r}, got {start} "
            f"and {end}; NIR counts axes without the batch"
        )
    merged = math.prod(site.shape[first : last + 1])
    return LinearLayer(
        shape=(*site.shape[:first], merged, *site.shape[last + 1 :]),
        apply=lambda x: x.flatten(2 + first, 2 + last),
    )


LINEAR = {
    nir.Affine: affine,
    nir.Linear: affine,
    nir.Scale: scale,
    nir.Conv1d: conv1d,
    nir.Conv2d: conv2d,
    nir.SumPool2d: sum_pool2d,
    nir.AvgPool2d: avg_pool2d,
    nir.Flatten: flatten,
}


def _counts_batch(site: Site) -> bool:
    stated = site.fields.get("input_type") or {}
    return stated.get("input") is not None and len(stated["input"]) == len(site.shape) + 1


def _bias(site: Site, outputs: int) -> Tensor | None:
    """The bias on the run's device, absent where the node has none."""
    if site.fields.get("bias") is None:
        return None
    bias = site.array("bias")
    if bias.shape != (outputs,):
        raise FormatError(
            f"expected a bias of shape ({outputs},) at node {site.name!r}, got {bias.shape}; "
            "the file is damaged"
        )
    return site.tensor(bias)


def _convolution(site: Site, axes: int) -> LinearLayer:
    weight = site.array("weight")
    if weight.ndim != axes + 2:
        raise FormatError(
            f"expected a weight of {axes + 2} axes at node {site.name!r}, got {weight.shape}; "
            "the file is damaged"
        )
    (groups,) = site.integers("groups", 1)
    stride, dilation = site.integers("stride", axes), site.integers("dilation", axes)
    if min(groups, *stride, *dilation) < 1 or weight.shape[0] % max(groups, 1):
        raise FormatError(
            f"expected stride, dilation and groups of at least 1 that divide the channels at node "
            f"{site.name!r}, got {stride}, {dilation} and {groups}; the file is damaged"
        )
    _check_map(site, weight.shape[1] * groups, axes)
    padding = _padding(site, stride, axes)
    shape = _map_shape(site, weight.shape[2:], padding, stride, dilation)
    w, b = site.tensor(weight), _bias(site, weight.shape[0])
    convolve = F.conv1d if axes == 1 else F.conv2d
    return LinearLayer(
        shape=(weight.shape[0], *shape),
        apply=over_time(lambda x: convolve(x, w, b, stride, padding, dilation, groups)),
    )


def _check_map(site: Site, channels: int, axes: int) -> None:
    """Refuses maps of another rank, channel count, or size than the node was written for."""
    if len(site.shape) != axes + 1:
        raise FormatError(
            f"expected {channels} channels of {axes} axes at node {site.name!r} ({site.kind}), got "
            f"{site.shape}; check the edges into it"
        )
    stated = site.fields.get("input_shape")
    size = site.shape[1:] if stated is None else site.integers("input_shape", axes)
    site.require_shape((channels, *size), f"{site.kind} of {channels} channels")


def _padding(site: Site, stride: Shape, axes: int) -> Shape | str:
    """Padding as torch takes it; "same" puts the odd zero of an even kernel at the end."""
    padding = site.fields.get("padding")
    if isinstance(padding, bytes):
        padding = padding.decode()
    if not isinstance(padding, str):
        zeros = site.integers("padding", axes)
        if min(zeros) < 0:
            raise FormatError(
                f"expected padding >= 0 at node {site.name!r}, got {zeros}; the file is damaged"
            )
        return zeros
    if padding not in ("same", "valid"):
        raise site.unsupported("padding 'same' or 'valid'", repr(padding), "state it in numbers")
    if padding == "same" and max(stride) > 1:
        raise site.unsupported("stride 1 with padding 'same'", stride, "state padding in numbers")
    return padding


def _map_shape(
    site: Site, kernel: Shape, padding: Shape | str, stride: Shape, dilation: Shape
) -> Shape:
    """Output size along each axis: ⌊(in + 2p − d·(k − 1) − 1)/s⌋ + 1."""
    if padding == "same":
        return site.shape[1:]
    zeros = padding if isinstance(padding, tuple) else (0,) * len(kernel)
    sizes = zip(site.shape[1:], zeros, dilation, kernel, stride, strict=True)
    shape = tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, p, d, k, s in sizes)
    if min(shape) < 1:
        raise FormatError(
            f"expected a kernel that fits the map at node {site.name!r}, got kernel {kernel} on "
            f"{site.shape}; check the edges into it"
        )
    return shape


def _pool(site: Site, divisor: int | None) -> LinearLayer:
    if len(site.shape) != 3:
        raise FormatError(
            f"expected maps [C, H, W] at node {site.name!r} ({site.kind}), got {site.shape}; "
            "check the edges into it"
        )
    kernel, stride = site.integers("kernel_size", 2), site.integers("stride", 2)
    padding = site.integers("padding", 2)
    if min(*kernel, *stride) < 1 or any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        raise site.unsupported(
            "kernel and stride >= 1 and at most half a kernel of padding",
            f"{kernel}, {stride} and {padding}",
            "change the pooling",
        )
    if min(padding) < 0:
        raise FormatError(
            f"expected padding >= 0 at node {site.name!r}, got {padding}; the file is damaged"
        )
    shape = _map_shape(site, kernel, padding, stride, (1, 1))
    pool = over_time(lambda x: F.avg_pool2d(x, kernel, stride, padding, divisor_override=divisor))
    return LinearLayer(shape=(site.shape[0], *shape), apply=pool)


def total_weight(node: nir.NIRNode) -> np.ndarray:
    """Σ|w| into each output of a dense or convolution node, `[outputs]`: the scale of rounding."""
    weight = np.asarray(getattr(node, "weight", None), dtype=np.float64)
    return np.abs(weight).reshape(len(weight), -1).sum(1)
