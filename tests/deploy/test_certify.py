from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spikeproof.core.errors import RangeError
from spikeproof.deploy.certify import RAIL, UNIT, certify, require
from spikeproof.sim.clock import Window
from spikeproof.sim.interface import Readout
from spikeproof.sim.program import Population, Program, Source, Synapse
from spikeproof.sim.twin import Twin
from spikeproof.tests.sim.strategies import levelled

pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")


def registers(program, inputs, steps):
    """u and v before its clip is seen, of every population, after each step."""
    trains = {name: torch.from_numpy(x)[None] for name, x in inputs.items()}
    return Twin(program).run(trains, Window(steps=steps), record=True).registers


def dense(weight, *, low=-5, high=9, readout=None, **fields):
    """One population on a graded source."""
    weight = np.asarray(weight, dtype=np.int32)
    return Program(
        sources=(Source(name="x", shape=weight.shape[1:], low=low, high=high, message_bits=9),),
        populations=(Population(**{"name": "p", "shape": weight.shape[:1], "vth": 100} | fields),),
        synapses=(Synapse(source="x", target="p", weight=weight),),
        outputs=("p",),
        readout=readout and Readout(population="p", kind=readout, scale=1.0),
    )


def only(program, steps=4):
    (found,) = certify(program, steps=steps)
    return found


def worst_payloads(synapse, low, high):
    """For each output neuron of a dense synapse, the payloads that drive it furthest."""
    weight = synapse.weight
    return np.concatenate([np.where(weight > 0, high, low), np.where(weight > 0, low, high)])


@given(levelled())
def test_no_random_input_exceeds_the_bounds(case):
    traces = registers(case.program, case.inputs, case.steps)
    for bound in certify(case.program, steps=case.steps):
        if bound.u_never_wraps:
            u, h = traces[bound.population].u, traces[bound.population].h
            assert bound.u_low <= int(u.min()) <= int(u.max()) <= bound.u_high
            assert max(bound.v_low, -RAIL) <= int(h.min())
            assert int(h.max()) <= min(bound.v_high, RAIL)


@given(
    seed=st.integers(0, 2**32 - 1),
    du=st.sampled_from([0, 1000, 4096]),
    dv=st.sampled_from([0, 7, 4096]),
    vth=st.sampled_from([0, 3000, 131071]),
    steps=st.integers(1, 9),
)
def test_worst_payloads_stay_within_the_bounds_and_reach_them(seed, du, dv, vth, steps):
    rng = np.random.default_rng(seed)
    bias = rng.integers(-300, 301, 3).astype(np.int32)
    program = dense(rng.integers(-9, 10, (3, 5)), du=du, dv=dv, vth=vth, bias=bias)
    bound = only(program, steps)
    inputs = {"x": worst_payloads(program.synapses[0], -5, 9)}
    u, h = (getattr(registers(program, inputs, steps)["p"], key) for key in "uh")
    assert bound.u_low <= int(u.min()) <= int(u.max()) <= bound.u_high
    assert bound.v_low <= int(h.min()) <= int(h.max()) <= bound.v_high
    if du in (0, 4096):
        assert (int(u.min()), int(u.max())) == (bound.u_low, bound.u_high)
    if (du, dv, vth) == (4096, 0, 131071) and bound.v_low < 0:
        assert int(h.min()) == bound.v_low


@given(
    seed=st.integers(0, 2**32 - 1),
    du=st.lists(st.sampled_from([-900, 0, 77, 4097, 6000, 9000]), min_size=3, max_size=3),
    dv=st.lists(st.sampled_from([-60536, -5, 4096, 5000, 8192, 70000]), min_size=3, max_size=3),
)
def test_rates_beyond_the_chips_stay_within_the_bounds(seed, du, dv):
    rng = np.random.default_rng(seed)
    program = dense(rng.integers(-9, 10, (3, 5)), du=np.array(du), dv=np.array(dv), vth=300)
    bound = only(program, 6)
    found = registers(program, {"x": rng.integers(-5, 10, (40, 5))}, 6)["p"]
    assert bound.u_never_wraps
    assert bound.u_low <= int(found.u.min()) <= int(found.u.max()) <= bound.u_high
    assert bound.v_low <= int(found.h.min()) <= int(found.h.max()) <= bound.v_high


def test_rates_that_let_a_register_grow_without_end_are_told():
    found = only(dense([[5, -1]], du=-(2**31)), steps=40)
    assert (found.u_never_wraps, found.positive_clip) == (False, "harmless")
    assert found.u_high == -found.u_low == 1 << 60


@given(seed=st.integers(0, 2**32 - 1), steps=st.integers(1, 6))
def test_worst_images_stay_within_the_bounds_of_a_convolution(seed, steps):
    rng = np.random.default_rng(seed)
    weight = rng.integers(-9, 10, (2, 3, 3, 3)).astype(np.int32)
    program = Program(
        sources=(Source(name="x", shape=(3, 5, 4), low=-120, high=222, message_bits=9),),
        populations=(Population(name="p", shape=(2, 5, 4), vth=500),),
        synapses=(Synapse(source="x", target="p", weight=weight, padding=(1, 1)),),
        outputs=("p",),
    )
    x = np.zeros((2, 3, 5, 4), dtype=np.int64)
    x[:, :, 1:4, 1:4] = np.where(weight > 0, 222, -120)
    bound, found = only(program, steps), registers(program, {"x": x}, steps)["p"]
    assert bound.u_low <= int(found.u.min())
    assert bound.v_low <= int(found.h.min()) <= int(found.h.max()) <= bound.v_high
    assert int(found.u.max()) == bound.u_high


def test_u_that_may_wrap_is_told_and_refused():
    fits, wraps = dense([[14562, -1]]), dense([[14563, -1]])
    assert only(fits).u_never_wraps
    assert only(fits).u_high == (14562 * 9 + 5) * UNIT
    assert not only(wraps).u_never_wraps
    with pytest.raises(RangeError, match=r"\|u\| < 2\^23 in population 'p'.*got up to 8388608"):
        require(certify(wraps, steps=4))


def test_u_without_decay_grows_with_the_steps():
    program = dense([[5000, -1]], du=0)
    assert [only(program, steps).u_never_wraps for steps in (1, 2, 3)] == [True, True, False]


@pytest.mark.parametrize(("vth", "said"), [(131071, "harmless"), (131072, "fatal")])
def test_positive_clip_is_harmless_where_the_neuron_fires(vth, said):
    found = only(dense([[10000, -1]], vth=vth))
    assert (found.positive_clip, found.holds) == (said, said == "harmless")


def test_positive_clip_is_absent_below_it():
    assert only(dense([[100, -1]])).positive_clip == "absent"


@pytest.mark.parametrize("kind", ["membrane", "sum"])
@pytest.mark.parametrize("sign", [1, -1])
def test_clip_of_a_readout_is_fatal_and_refused(kind, sign):
    program = dense([[sign * 10000, -1]], vth=131071, readout=kind, low=0, dv=0)
    found = only(program)
    assert (found.positive_clip if sign > 0 else found.negative_rail) == "fatal"
    assert not found.holds
    with pytest.raises(RangeError, match="expected 'p' to stay between its clips, got"):
        require((found,))


def test_readout_that_would_fire_is_fatal():
    assert only(dense([[30, -1]], vth=100, readout="membrane")).positive_clip == "fatal"
    assert only(dense([[30, -1]], vth=131071, readout="membrane")).holds


def test_negative_rail_of_a_neuron_is_possible_or_absent():
    low = only(dense([[-5000, 1]]), steps=2)
    assert (low.negative_rail, low.v_low) == ("absent", -2 * 45005 * UNIT)
    deep = only(dense([[-5000, 1]]), steps=3)
    assert (deep.negative_rail, deep.holds) == ("possible", True)
    require((deep,))


def test_negative_rail_that_is_possible_happens():
    program = dense([[-5000, 1]])
    found = registers(program, {"x": np.array([[9, -5]])}, 3)["p"]
    assert int(found.h.min()) == -RAIL


def test_bounds_of_a_population_depend_on_its_sources_alone():
    first = dense([[14563, -1]])
    behind = Population(name="q", shape=(1,), vth=5, phase=1)
    synapse = Synapse(source="p", target="q", weight=np.array([[7]], dtype=np.int32))
    program = replace(
        first,
        populations=(*first.populations, behind),
        synapses=(*first.synapses, synapse),
        outputs=("q",),
    )
    assert [c.u_high for c in certify(program, steps=4)][1] == 7 * UNIT


def test_json_holds_every_field():
    found = only(dense([[1, -1]])).to_json()
    assert found["population"] == "p"
    assert {"u_low", "u_high", "v_low", "v_high", "positive_clip", "negative_rail"} < set(found)
    assert isinstance(found["margins"], dict)
    assert set(found["margins"]) == {"u_wrap", "positive_clip", "negative_rail"}


def test_margins_are_what_the_worst_input_leaves_to_each_rail():
    given = dense([[100, -50, 3]], vth=131071)
    trains = {"x": worst_payloads(given.synapses[0], -5, 9)[:, None].repeat(4, 1)}
    bound = only(given)
    found = [registers(given, {"x": x}, 4)["p"] for x in trains["x"].astype(np.float32)]
    most, least = (np.array([float(r.h.max()), float(r.h.min())]) for r in found)
    assert bound.margins.positive_clip == RAIL - most[0]
    assert bound.margins.negative_rail == RAIL + least[1]
    assert bound.margins.u_wrap == (1 << 23) - 1 - UNIT * (100 * 9 + 50 * 5 + 3 * 9)


@pytest.mark.parametrize("readout", [None, "membrane"])
def test_a_readout_has_its_threshold_as_a_rail(readout):
    found = only(dense([[1, -1]], readout=readout)).margins
    rail = 100 * UNIT if readout else RAIL
    assert found.positive_clip == rail - 4 * 14 * UNIT


def test_margins_below_zero_say_by_how_much_a_bound_lies_beyond():
    found = only(dense([[-256] * 40]), steps=4)
    assert found.negative_rail == "possible"
    assert found.margins.negative_rail == found.v_low + RAIL < 0
