"""Records spikes, u and v of Lava's neurons at every step, without a say in what they are.

Why this way. `Var.get` sends one element a message (a minute for a large layer, once); Lava's
Monitor and ring buffer sinks add a process per variable and read v one phase later. Here the run
configuration selects, for LIF and LIFReset, a subclass of Lava's own fixed-point model which lets
that model do the whole step and only then copies its registers into memory that it shares with
the process that started it. A step costs two array copies more and no message.
"""

import mmap
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

UNWRITTEN = 255
DTYPES = {"s": np.uint8, "u": np.int32, "v": np.int32}
KEY = "recording"


class Recording:
    """What one layer of neurons did: arrays `[T, *shape]`, seen by this process and its forks.

    Args:
        shape: Lava's axes, `(W, H, C)` or `(N,)`.
        steps: Number of steps, T.
        trace: Whether u and v are kept besides the spikes.
    """

    def __init__(self, shape: tuple[int, ...], *, steps: int, trace: bool) -> None:
        names = ("s", "u", "v") if trace else ("s",)
        self.arrays = {name: _shared((steps, *shape), DTYPES[name]) for name in names}
        self.arrays["s"][:] = UNWRITTEN

    def keep(self, step: int, registers: Mapping[str, np.ndarray]) -> None:
        """Copies the registers of one step, counted from 0."""
        for name, array in self.arrays.items():
            array[step] = registers[name]

    def finished(self) -> dict[str, np.ndarray]:
        """The arrays with time last.

        Raises:
            RuntimeError: If a step is missing.
        """
        missing = int((self.arrays["s"] == UNWRITTEN).sum())
        if missing:
            raise RuntimeError(f"expected every step of every neuron, got {missing} unwritten")
        return {
            name: np.ascontiguousarray(np.moveaxis(array, 0, -1))
            for name, array in self.arrays.items()
        }


def recorded(model: Any) -> type:
    """A subclass of one of Lava's fixed-point neuron models that fills its `Recording`."""

    class Recorded(model):
        def spiking_activation(self) -> np.ndarray:
            # LIFReset keeps its spikes in a local variable: this is the only place to see them.
            self.fired = super().spiking_activation()
            return self.fired

        def run_spk(self) -> None:
            super().run_spk()
            registers = {"s": self.fired, "u": self.u, "v": self.v}
            self.proc_params[KEY].keep(self.time_step - 1, registers)

    Recorded.__name__ = Recorded.__qualname__ = f"Recorded{model.__name__}"
    return Recorded


def recorded_models() -> dict[type, type]:
    """The neuron models to select, keyed by Lava process, for a run configuration."""
    processes = import_module("lava.proc.lif.process")
    models = import_module("lava.proc.lif.models")
    return {
        processes.LIF: recorded(models.PyLifModelBitAcc),
        processes.LIFReset: recorded(models.PyLifResetModelBitAcc),
    }


def record(layers: list[Any], *, steps: int, trace: bool) -> list[Recording]:
    """Gives every layer's process of neurons a recording, in the order given.

    Raises:
        ValueError: If a layer has other neurons than CUBA or LOIHI.
    """
    known = recorded_models()
    recordings = []
    for k, neurons in enumerate(layers):
        if type(neurons) not in known:
            kind = type(neurons).__name__
            raise ValueError(f"expected layer {k} to have CUBA or LOIHI neurons, got {kind}")
        recordings.append(Recording(tuple(neurons.u.shape), steps=steps, trace=trace))
        neurons.proc_params.overwrite(KEY, recordings[-1])
    return recordings


def _shared(shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
    """Zeros in anonymous memory that forks share: it has no name, so nothing is left behind."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(mmap.mmap(-1, size), dtype=dtype).reshape(shape)
