"""Makes lava-nc 0.10.0 and lava-dl 0.6.0 import and run on Python 3.11 and later with numpy 2.

Five things stand in the way. Each is changed in memory, in the process that imports Lava, and
nothing on disk is touched. None of them takes part in Lava's arithmetic.
"""

import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

VAR_MODEL = "lava.magma.compiler.var_model"
DETECTION = "lava.lib.dl.slayer.object_detection"
CONV_GEOMETRY = ("kernel_size", "stride", "padding", "dilation", "groups")


def import_netx() -> ModuleType:
    """Imports `lava.lib.dl.netx.hdf5`.

    Lava fixes the start method of `multiprocessing` while it is imported, so this belongs in a
    process that does nothing else.

    Returns:
        The module that holds `Network`.

    Raises:
        ImportError: If Lava or one of its own dependencies is missing.
    """
    with _hashable_dataclasses(VAR_MODEL):
        import_module(VAR_MODEL)
    # lava.lib.dl.slayer imports its object detection, which wants OpenCV and torchvision. netx
    # reaches slayer only for one function of another neuron type.
    sys.modules.setdefault(DETECTION, ModuleType(DETECTION))
    netx = import_module("lava.lib.dl.netx.hdf5")
    _widen_conv_geometry()
    _rename_reshape_argument()
    _unwrap_input_scalars(netx.Network)
    return netx


@contextmanager
def _hashable_dataclasses(module: str) -> Iterator[None]:
    """Dataclasses defined in `module` hash by identity while the block runs.

    var_model uses an instance of one dataclass as the default of a field in others. From 3.11 on
    an unhashable default counts as mutable and is refused.
    """
    original = dataclasses.dataclass

    def dataclass(cls: type | None = None, /, **options: Any) -> Any:
        def decorate(cls: type) -> type:
            made = original(cls, **options)
            if made.__module__ == module and made.__hash__ is None:
                made.__hash__ = object.__hash__
            return made

        return decorate if cls is None else decorate(cls)

    name = original.__name__
    setattr(dataclasses, name, dataclass)
    try:
        yield
    finally:
        setattr(dataclasses, name, original)


def _widen_conv_geometry() -> None:
    """Holds the geometry of a convolution in int32, where Lava declares int8.

    Under numpy 2 an int8 scalar no longer promotes, so a map wider than 127 or more than 127
    groups overflow in the arithmetic on shapes.
    """
    model = import_module("lava.proc.conv.models").AbstractPyConvModel
    lava_type = import_module("lava.magma.core.model.py.type").LavaPyType
    for name in CONV_GEOMETRY:
        setattr(model, name, lava_type(np.ndarray, np.int32, precision=8))


def _rename_reshape_argument() -> None:
    """Reshapes data without `newshape`, a name that numpy 2.4 took away."""
    port = import_module("lava.magma.core.process.ports.ports").ReshapePort
    port.get_transform_func_fwd = lambda self: partial(_reshaped, shape=self.shape)
    port.get_transform_func_bwd = lambda self: partial(_reshaped, shape=self.old_shape)


def _reshaped(data: np.ndarray, *, shape: tuple[int, ...]) -> np.ndarray:
    return np.reshape(data, shape)


def _unwrap_input_scalars(network: Any) -> None:
    """Lets `weight` and `bias` of an input block be arrays of one element.

    netx calls `int` on them, which numpy 2.4 refuses for anything with axes.
    """
    create_input = network.create_input

    def create(layer_config: Any, **options: Any) -> Any:
        return create_input(_Unwrapped(layer_config), **options)

    network.create_input = staticmethod(create)


class _Unwrapped:
    """A layer of a netx file whose `weight` and `bias` are scalars."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def keys(self) -> Any:
        """Names of what the layer holds."""
        return self.config.keys()

    def __getitem__(self, key: str) -> Any:
        value = self.config[key]
        return value.item() if key in ("weight", "bias") else value
