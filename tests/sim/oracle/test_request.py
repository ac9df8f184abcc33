"""Programs that Lava is not asked to run, each with its message."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spikeproof.core.errors import ConfigError, DataError, RangeError, UnsupportedNodeError
from spikeproof.sim.oracle.fit import check_fit
from spikeproof.sim.oracle.request import ProgramRequest
from spikeproof.sim.program import Population, Program, Source, Synapse
from spikeproof.sim.program_file import read_program
from spikeproof.tests.sim.programs import assert_equal_programs, chain, ramp


def small(weight=None, *, bias=None, **synapse: Any):
    """Four inputs into three neurons."""
    weight = ramp(3, 4) if weight is None else np.asarray(weight, np.int32)
    return Program(
        sources=(Source(name="x", shape=(4,)),),
        populations=(Population(name="a", shape=(3,), vth=5, bias=bias),),
        synapses=(Synapse(source="x", target="a", weight=weight, **synapse),),
        outputs=("a",),
    )


@pytest.mark.parametrize(
    ("weights", "extent"),
    [
        ([-257, 1, 0, 0], r"-256..255 in the dense synapse x -> a, got -257..1"),
        ([-1, 256, 0, 0], r"-256..255 in the dense synapse x -> a, got -1..256"),
        ([256, 1, 0, 0], r"-256..255 in the dense synapse x -> a, got 0..256"),
        ([-256, -1, 0, 0], r"-255..255 in the dense synapse x -> a, got -256..0"),
    ],
)
def test_dense_weights_that_lava_would_clip_are_refused(weights, extent):
    with pytest.raises(RangeError, match=f"expected weights {extent}"):
        check_fit(small([weights] * 3))


@pytest.mark.parametrize("weights", [[-256, 255, 0, 1], [-255, 0, 0, -1], [0, 0, 0, 0], [255] * 4])
def test_dense_weights_at_the_ends_of_their_range_fit(weights):
    check_fit(small([weights] * 3))


@pytest.mark.parametrize("delay", [63, np.full((3, 4), 63)])
def test_long_delays_are_refused(delay):
    with pytest.raises(RangeError, match="delays of at most 62 in synapse x -> a, got 63"):
        check_fit(small(delay=delay))


def delayed(*, high, weight, delay=1):
    """A convolution of two inputs."""
    source = Source(name="x", shape=(1, 1, 2), low=0, high=high, message_bits=31)
    return Program(
        sources=(source,),
        populations=(Population(name="a", shape=(1, 1, 1), vth=5),),
        synapses=(
            Synapse(
                source="x", target="a", weight=np.full((1, 1, 1, 2), weight, np.int32), delay=delay
            ),
        ),
        outputs=("a",),
    )


def test_sums_beyond_32_bits_of_delayed_payloads_beyond_24_are_refused():
    with pytest.raises(
        RangeError, match=r"delayed convolution x -> a, got up to 2147483648 of pay"
    ):
        check_fit(delayed(high=2**23, weight=128))


@pytest.mark.parametrize(
    "fields",
    [
        {"high": 2**23 - 1, "weight": 128},
        {"high": 2**23, "weight": 127},
        {"high": 2**23, "weight": 128, "delay": 0},
    ],
)
def test_delayed_payloads_whose_sums_lava_wraps_alike_fit(fields):
    check_fit(delayed(**fields))


def test_a_shifted_convolution_is_refused():
    program = chain()
    first, *others = program.synapses
    message = "expected no shift in the convolution image -> a, got 2"
    with pytest.raises(UnsupportedNodeError, match=message):
        check_fit(replace(program, synapses=(replace(first, shift=2), *others)))


def test_populations_apart_are_refused():
    program = small()
    alone = Population(name="alone", shape=(2,), vth=1)
    with pytest.raises(UnsupportedNodeError, match=r"got \['alone'\] apart from 'a'"):
        check_fit(replace(program, populations=(*program.populations, alone)))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, r"expected input \(4, T\) for source 'x', got None"),
        ({"x": np.ones((3, 5), int)}, r"expected input \(4, T\) for source 'x', got \(3, 5\)"),
        ({"x": np.ones((4, 6), int)}, "expected input 'x' with 5 steps on its last axis"),
        ({"x": np.ones((4, 5))}, "expected input 'x' of integers, got float64"),
    ],
)
def test_inputs_that_do_not_fit_their_source_are_refused(inputs, message):
    with pytest.raises(DataError, match=message):
        ProgramRequest(program=small(), steps=5, inputs=inputs)


@pytest.mark.parametrize("field", ["steps", "reset_interval"])
def test_numbers_out_of_range_are_refused(field):
    options: dict[str, Any] = {"steps": 5, field: 0}
    with pytest.raises(ConfigError, match=f"expected {field} >= 1, got 0"):
        ProgramRequest(program=small(), inputs={"x": np.ones((4, 5), int)}, **options)


def test_request_writes_what_the_worker_reads(tmp_path):
    program = chain()
    x = np.ones((4, 5, 2, 6), np.int32)
    request = ProgramRequest(program=program, steps=6, inputs={"image": x}, reset_interval=3)
    fields = request.write(tmp_path)
    assert fields == {"network": None, "steps": 6, "reset_interval": 3, "reset_offset": 0}
    assert_equal_programs(program, read_program(tmp_path / "program.h5"))
    with np.load(tmp_path / "inputs.npz") as file:
        np.testing.assert_array_equal(file["0"], x)
