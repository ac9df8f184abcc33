"""The layers of a trained network as a graph: one converter per module type."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from ..core.errors import UnsupportedNodeError
from ..train.network import SpikingNetwork
from ..train.spiking import Spiking
from ..train.wiring import Mixture, sources_of
from .graph import INPUT, OUTPUT, Conv, Dense, Flatten, Graph, Mix, Neurons, Node, Norm, Pool


def read_layers(network: SpikingNetwork) -> Graph:
    """What a network computes in evaluation mode, in float64, from the encoded input on.

    Raises:
        UnsupportedNodeError: If a module, or a setting of it, cannot be kept exactly; the message
            names the module and its position.
    """
    layers, sources = list(network.layers.named_children()), sources_of(network.layers)
    nodes = {name: convert(position, name, layer) for position, (name, layer) in enumerate(layers)}
    if len({INPUT, *nodes, OUTPUT}) != len(nodes) + 2:
        raise UnsupportedNodeError(
            f"expected layers named other than {INPUT!r} and {OUTPUT!r}, got {list(nodes)}; "
            "rename the layer"
        )
    for name, node in nodes.items():
        if isinstance(node, Mix):
            nodes[name] = Mix(weights=dict(zip(sources[name], node.weights.values(), strict=True)))
    edges = [(source, name) for name in nodes for source in sources[name]]
    last = layers[-1][0] if layers else INPUT
    shape = tuple(network.config.input_shape)
    return Graph(nodes=nodes, edges=(*edges, (last, OUTPUT)), input_shape=shape)


def convert(
    position: int,
    name: str,
    layer: nn.Module,
    converters: "Mapping[type[nn.Module], Converter] | None" = None,
) -> Node:
    """One module, by the converter for its type.

    Raises:
        UnsupportedNodeError: If there is none, or it cannot keep a setting exactly.
    """
    table = CONVERTERS if converters is None else converters
    try:
        converter = table[type(layer)]
    except KeyError:
        known = ", ".join(dict.fromkeys(kind.__name__ for kind in table))
        raise UnsupportedNodeError(
            f"expected layer {position} ({name!r}) to be one of {known}, got "
            f"{type(layer).__name__}; replace it"
        ) from None
    node = converter(layer)
    if isinstance(node, str):
        raise UnsupportedNodeError(
            f"expected layer {position} ({name!r}) to be {node}, got {layer!r}; change the layer"
        )
    return node


def _conv(layer: nn.Conv2d) -> Conv | str:
    if layer.padding_mode != "zeros":
        return "a convolution with zero padding"
    padding = _padding(layer)
    if padding is None:
        return "a convolution with the same padding on both sides"
    height, width = layer.stride
    return Conv(
        weight=float64(layer.weight),
        bias=_bias(layer),
        stride=(height, width),
        padding=padding,
        dilation=(layer.dilation[0], layer.dilation[1]),
        groups=layer.groups,
    )


def _padding(layer: nn.Conv2d) -> tuple[int, int] | None:
    """Zeros on each side, None where "same" needs one more on one side."""
    if layer.padding == "valid":
        return (0, 0)
    if layer.padding != "same":
        return (int(layer.padding[0]), int(layer.padding[1]))
    (high, wide), (dh, dw) = layer.kernel_size, layer.dilation
    total = (dh * (high - 1), dw * (wide - 1))
    return None if total[0] % 2 or total[1] % 2 else (total[0] // 2, total[1] // 2)


def _dense(layer: nn.Linear) -> Dense:
    return Dense(weight=float64(layer.weight), bias=_bias(layer))


def _norm(layer: nn.BatchNorm1d | nn.BatchNorm2d) -> Norm | str:
    if layer.running_mean is None or layer.running_var is None:
        return "batch norm with running statistics"
    gain = 1.0 / np.sqrt(float64(layer.running_var) + layer.eps)
    shift = -float64(layer.running_mean) * gain
    if layer.affine:
        weight = float64(layer.weight)
        gain, shift = gain * weight, shift * weight + float64(layer.bias)
    return Norm(gain=gain, shift=shift)


def _pool(layer: nn.AvgPool2d) -> Pool | str:
    kernel, stride, padding = (_pair(s) for s in (layer.kernel_size, layer.stride, layer.padding))
    if padding != (0, 0) and not layer.count_include_pad and layer.divisor_override is None:
        return "pooling that counts its padding (count_include_pad) or has none"
    divisor = layer.divisor_override or kernel[0] * kernel[1]
    return Pool(
        kernel=kernel,
        factor=1.0 / divisor,
        stride=stride,
        padding=padding,
        ceil=layer.ceil_mode,
    )


def _flatten(layer: nn.Flatten) -> Flatten | str:
    if (layer.start_dim, layer.end_dim) != (1, -1):
        return "a flatten of all axes but the batch"
    return Flatten()


def _neurons(layer: Spiking) -> Neurons:
    return Neurons(theta=layer.theta, decay=layer.decay)


def _mixture(layer: Mixture) -> Mix:
    """Summands by number; `read_layers` knows their names."""
    return Mix(weights={str(k): weight for k, weight in enumerate(float64(layer.weight).tolist())})


Converter = Callable[..., Node | str]
CONVERTERS: dict[type[nn.Module], Converter] = {
    nn.Conv2d: _conv,
    nn.Linear: _dense,
    nn.BatchNorm1d: _norm,
    nn.BatchNorm2d: _norm,
    nn.AvgPool2d: _pool,
    nn.Flatten: _flatten,
    Spiking: _neurons,
    Mixture: _mixture,
}
"""A converter answers with a node, or with what it would have accepted."""


def float64(tensor: Tensor) -> np.ndarray:
    """A copy as a numpy array in float64; exact for float32."""
    return tensor.detach().to("cpu", torch.float64).numpy().copy()


def _bias(layer: nn.Conv2d | nn.Linear) -> np.ndarray:
    return np.zeros(len(layer.weight)) if layer.bias is None else float64(layer.bias)


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])
