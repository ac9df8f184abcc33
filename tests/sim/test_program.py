"""A graph of populations and synapses: it fits together or it is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spikeproof.core.errors import FormatError, RangeError
from spikeproof.sim.interface import Encoding, Readout
from spikeproof.sim.program import Population, Program, Source, Synapse
from spikeproof.tests.sim.programs import chain, classifier, ramp


def synapse(shape, **options):
    return Synapse(source="x", target="y", weight=ramp(*shape), **options)


def names(populations):
    return [p.name for p in populations]


@pytest.mark.parametrize(
    ("given", "shape", "expected"),
    [
        (synapse((5, 24)), (2, 3, 4), (5,)),
        (synapse((5, 6)), (6,), (5,)),
        (synapse((4, 2, 3, 2)), (2, 7, 6), (4, 5, 5)),
        (synapse((4, 1, 3, 2), groups=2, stride=(2, 1)), (2, 7, 6), (4, 3, 5)),
        (synapse((4, 2, 3, 2), dilation=(3, 2), padding=(1, 2)), (2, 7, 6), (4, 3, 8)),
    ],
)
def test_a_synapse_knows_the_shape_it_fills(given, shape, expected):
    assert given.output_shape(shape) == expected


@pytest.mark.parametrize(
    ("given", "shape", "message"),
    [
        (synapse((5, 23)), (2, 3, 4), r"x -> y to have a weight \[out, 24\], got \[5, 23\]"),
        (synapse((5, 2, 3)), (6,), r"to have a weight \[out, 6\], got \[5, 2, 3\]"),
        (synapse((4, 3, 3, 3)), (2, 7, 6), r"to join 3 channels in 1 groups, got a source of"),
        (synapse((3, 1, 3, 3), groups=2), (2, 7, 6), "to join 2 channels in 2 groups, got"),
        (synapse((4, 2, 3, 3)), (24,), "to join 2 channels in 1 groups, got a source of shape"),
        (synapse((4, 2, 9, 1)), (2, 7, 6), r"to have an output, got \[-1, 6\]; its kernel"),
    ],
)
def test_a_synapse_that_does_not_fit_its_source_is_refused(given, shape, message):
    with pytest.raises(FormatError, match=message):
        given.output_shape(shape)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": (0, 1)}, r"stride, dilation and groups of at least 1.*x -> y, got \(0, 1\)"),
        ({"dilation": (1, 0)}, "of at least 1"),
        ({"groups": 0}, "of at least 1"),
        ({"padding": (-1, 0)}, "padding and shift of at least 0"),
        ({"shift": -1}, "padding and shift of at least 0"),
        ({"delay": -1}, r"delays of at least 0 .* got -1 in shape \[\]"),
        ({"delay": np.zeros((2, 5), int)}, r"weights \[5, 2\], got 0 in shape \[2, 5\]"),
    ],
)
def test_impossible_options_of_a_synapse_are_refused(options, message):
    with pytest.raises(FormatError, match=message):
        synapse((5, 2), **options)


@pytest.mark.parametrize("shape", [(4, 1), (2, 3), (3, 3, 3), (2, 4, 3, 3)])
def test_biases_that_do_not_fit_are_refused(shape):
    with pytest.raises(FormatError, match=r"biases of population 'y' for shape \(4, 3, 3\), got"):
        Population(name="y", shape=(4, 3, 3), vth=1, bias=ramp(*shape))


def test_biases_that_are_no_integers_are_refused():
    with pytest.raises(FormatError, match="integer biases of population 'y', got float64; round"):
        Population(name="y", shape=(2,), vth=1, bias=np.array([0.5, 1]))


@pytest.mark.parametrize("bias", [[32768, 0], [0, -32769]])
def test_biases_beyond_int16_are_refused(bias):
    found = f"{min(0, *bias)}..{max(0, *bias)}"
    message = f"population 'y' within -32768..32767, got {found}; Lava would wrap them"
    with pytest.raises(RangeError, match=message):
        Population(name="y", shape=(2,), vth=1, bias=np.array(bias))


@pytest.mark.parametrize("shape", [(), (1,), (4, 1, 1), (4, 3, 3), (3,)])
def test_biases_that_broadcast_are_taken(shape):
    bias = np.zeros(shape, np.int32)
    population = Population(name="y", shape=(4, 3, 3), vth=1, bias=bias)
    assert population.bias is bias


@pytest.mark.parametrize("key", ["du", "dv", "vth"])
def test_small_types_do_not_overflow_in_what_is_reckoned_with_them(key):
    given: dict[str, Any] = {"vth": 5} | {key: np.array([100, 127], np.int8)}
    held = getattr(Population(name="p", shape=(2,), **given), key)
    assert (4096 - held).tolist() == [3996, 3969]
    assert (held << 6).tolist() == [6400, 8128]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outputs": ("z",)}, r"expected a population among \['a', 'b', 'c'\], got 'z'"),
        ({"outputs": ("image",)}, "expected a population among"),
        ({"sources": (Source(name="a", shape=(2, 5, 4)),)}, "expected unique names, got"),
        ({"sources": ()}, "synapse image -> a to join known nodes"),
        ({"sources": (Source(name="image", shape=(2, 5)),)}, r"a shape \(C, H, W\) or \(N,\), got"),
        ({"sources": (Source(name="image", shape=(0,)),)}, "expected 'image' to have a shape"),
        (
            {"encoding": Encoding(offset=(1,), steps=2)},
            r"each channel of 'image' \(2, 5, 4\), got 1",
        ),
        ({"readout": Readout(population="z", kind="sum", scale=1.0)}, "got 'z'; name one"),
    ],
)
def test_programs_that_do_not_fit_together_are_refused(changes, message):
    with pytest.raises(FormatError, match=message):
        chain(**changes)


def test_synapses_that_do_not_fill_their_target_are_refused():
    first, *others = chain().synapses
    with pytest.raises(FormatError, match=r"image -> a to fill shape \(4, 2, 3\), got \(4, 4, 3\)"):
        chain(synapses=(replace(first, padding=(3, 0)), *others))


def test_encodings_without_steps_are_refused():
    with pytest.raises(FormatError, match="expected at least 1 time step, got 0"):
        Encoding(offset=(), steps=0)


def test_levelled_programs_have_no_unlevelled_synapses():
    assert classifier().unlevelled() == []


def test_synapses_out_of_step_are_found():
    a, b, relay, out = classifier().populations
    late = classifier(populations=(a, replace(b, phase=2), relay, out))
    assert [s.label for s in late.unlevelled()] == ["a -> b", "b -> out"]


def test_delays_count_as_steps_when_they_are_one_for_all():
    a, b, c = chain().populations
    program = chain(populations=(a, b, replace(c, phase=5)))
    assert [s.label for s in program.unlevelled()] == ["a -> b"]  # delays of its own each


def test_sizes_shapes_and_synapses_are_found_by_name():
    program = chain()
    assert program.population("a").size == 24
    assert program.shapes["image"] == (2, 5, 4)
    assert [s.source for s in program.into("c")] == ["b"]
    assert program.source("a") is None


def test_only_sources_with_message_bits_multiply():
    assert Source(name="x", shape=(1,), message_bits=3).is_graded
    assert not Source(name="x", shape=(1,), low=-5, high=5).is_graded


def test_a_program_may_have_no_source():
    block = Population(name="a", shape=(2, 3, 3), vth=1)
    assert Program(sources=(), populations=(block,), synapses=(), outputs=("a",)).shapes["a"]
