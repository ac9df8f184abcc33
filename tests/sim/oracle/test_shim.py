"""What it takes to import Lava on this Python."""

import dataclasses
import sys
from importlib import import_module

import pytest

from spikeproof.sim.oracle.shim import _hashable_dataclasses, _reshaped, _Unwrapped

SOURCE = """
from dataclasses import dataclass

@dataclass
class Inner:
    base: int = 0

@dataclass
class Outer:
    inner: Inner = Inner()
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module with an unhashable default, as Lava's var_model has."""
    (tmp_path / "unhashable_default.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    yield "unhashable_default"
    sys.modules.pop("unhashable_default", None)


def test_unhashable_defaults_are_refused_by_python(module):
    with pytest.raises(ValueError, match="mutable default"):
        import_module(module)


def test_unhashable_defaults_import_under_the_shim(module):
    with _hashable_dataclasses(module):
        outer = import_module(module).Outer()
    assert outer.inner == type(outer.inner)(base=0)


def test_dataclasses_of_other_modules_stay_as_they_are(module):
    original = dataclasses.dataclass
    with _hashable_dataclasses(module):

        @dataclasses.dataclass(order=True)
        class Elsewhere:
            base: int = 0

    assert Elsewhere.__hash__ is None
    assert Elsewhere(1) < Elsewhere(2)
    assert dataclasses.dataclass is original


def test_input_scalars_are_unwrapped_and_shapes_are_not(rng):
    shape = rng.integers(1, 9, 1)
    layer = _Unwrapped({"weight": rng.integers(1, 9, 1) * 0 + 7, "shape": shape})
    assert (layer["weight"], layer["shape"] is shape) == (7, True)


def test_reshape_keeps_row_major_order(rng):
    data = rng.integers(0, 9, (2, 3, 4))
    assert (_reshaped(data, shape=(24,)) == data.ravel()).all()
