"""`.net` files made of plain dicts: one valid network with every kind of layer to start from."""

import h5py
import numpy as np


def neuron(**changes):
    """Fields of CUBA neurons."""
    fields = {"type": "CUBA", "iDecay": 1024, "vDecay": 128, "vThMant": 50} | changes
    return {f"neuron/{name}": value for name, value in fields.items()}


def ramp(*shape, modulus=11, low=-5):
    """Small whole numbers of both signs."""
    return np.arange(np.prod(shape)).reshape(shape) % modulus + low


def layers():
    """Input, convolution, flatten, dense with delays, recurrent dense: all options stated."""
    return [
        {"type": "input", "shape": [2, 5, 4]},
        {
            "type": "conv",
            "shape": [4, 2, 3],
            "weight": ramp(4, 1, 3, 2),
            "bias": [3, -2, 1, 0],
            "stride": [2, 1],
            "padding": [1, 0],
            "dilation": [2, 1],
            "groups": 2,
        }
        | neuron(),
        {"type": "flatten"},
        {"type": "dense", "shape": [5], "weight": ramp(5, 24), "bias": ramp(5), "delay": 2}
        | neuron(),
        {"type": "dense_rec", "shape": [3], "weight": ramp(3, 5), "weight_rec": ramp(3, 3)}
        | neuron(),
    ]


def write(path, content):
    """Writes a list of layers, fields given as arrays, numbers or text."""
    with h5py.File(path, "w") as file:
        file.create_group("layer")
        for index, layer in enumerate(content):
            group = file.create_group(f"layer/{index}")
            for name, value in layer.items():
                group[name] = np.bytes_(value) if isinstance(value, str) else np.asarray(value)
    return path
