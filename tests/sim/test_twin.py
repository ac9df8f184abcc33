"""The twin against recorded traces of Lava, and against a slow loop on whatever else there is."""

import importlib.metadata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeproof.core.axes import lava_to_map, lava_to_train
from spikeproof.core.errors import DataError, RangeError, UnsupportedNodeError
from spikeproof.sim.clock import LavaClock, Window
from spikeproof.sim.gradients.estimators import estimator
from spikeproof.sim.netx.network import read_netx
from spikeproof.sim.program import Population, Program, Source, Synapse
from spikeproof.sim.twin import Twin
from spikeproof.tests.reference import Trace, reference
from spikeproof.tests.sim.strategies import Case, cases, levelled

# beartype looks at a random item of a container, also while hypothesis builds one.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")
PILOTNET = "tests/lava/lib/dl/netx/gts/pilotnet_lif"
PILOTNET_LAYERS = ("input", *(f"conv-{k}" for k in range(5)), *(f"fc-{k}" for k in range(3)))


def tensors(arrays):
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def suv(run, name):
    """Spikes, u and v of one population as int64 arrays, by the letter of a trace."""
    registers = run.registers[name]
    found = {"s": run.spikes[name], "u": registers.u, "v": registers.v}
    return {key: value.numpy().astype(np.int64) for key, value in found.items()}


def run_case(case, clock):
    biases = tensors(case.biases)
    return Twin(case.program).run(tensors(case.inputs), clock, biases=biases, record=True)


def assert_equal_traces(run, traces):
    for name, trace in traces.items():
        for key, value in suv(run, name).items():
            np.testing.assert_array_equal(value, getattr(trace, key), err_msg=f"{key} of {name}")


def golden(shared, name):
    """A recorded network and the twin's run of it."""
    data = np.load(shared / "lava-golden" / f"{name}.npz")
    program = read_netx(shared / "lava-golden" / f"{name}.net").program
    interval = int(data["reset_interval"]) if "reset_interval" in data else None
    clock = LavaClock(steps=int(data["steps"]), reset_interval=interval)
    inputs, biases = {}, {}
    if "x" in data:
        inputs["input"] = torch.from_numpy(lava_to_train(data["x"]).astype(np.int64))[:, None]
    else:
        bias = lava_to_map(data["input_bias"]).astype(np.int32)
        biases[program.populations[0].name] = torch.from_numpy(bias)[None]
    return data, program, Twin(program).run(inputs, clock, biases=biases, record=True)


@pytest.mark.parametrize("name", ["mlp_cuba", "conv_reset", "wrap_clip"])
def test_twin_equals_recorded_lava(shared, name):
    data, program, run = golden(shared, name)
    for k, population in enumerate(program.populations):
        for key, value in suv(run, population.name).items():
            np.testing.assert_array_equal(value[:, 0], lava_to_train(data[f"{key}{k}"]))


@pytest.fixture(scope="module")
def pilotnet():
    """The folder of a 10-layer network and its chip traces that lava-dl brings along."""
    try:
        found = importlib.metadata.files("lava-dl") or []
    except importlib.metadata.PackageNotFoundError:
        found = []
    paths = [path for path in found if f"{PILOTNET}/network.net" in str(path)]
    if not paths:
        pytest.skip("NOT TESTED: expected lava-dl with its traces, got none; install lava-dl 0.6.0")
    return Path(str(paths[0].locate())).parent


@pytest.fixture(scope="module")
def pilotnet_run(pilotnet):
    program = read_netx(pilotnet / "network.net").program
    image = lava_to_map(np.load(pilotnet / "image.npy")).astype(np.int32)
    clock = LavaClock(steps=24, reset_interval=16)
    biases = {program.populations[0].name: torch.from_numpy(image)[None]}
    with torch.no_grad():
        return Twin(program).run({}, clock, biases=biases, record=True)


def pilotnet_pair(pilotnet, run, k, key):
    """One recorded quantity of layer k and the twin's, over the columns of the first image."""
    layer, end = PILOTNET_LAYERS[k], "" if key == "s" else f"-{key}"
    found = suv(run, f"layer{k if k < 6 else k + 1}")[key][:, 0]
    recorded = lava_to_train(np.load(pilotnet / f"{layer}{end}.npy")).reshape(found.shape)
    return found[: 16 + k], recorded[: 16 + k]


@pytest.mark.parametrize("k", range(len(PILOTNET_LAYERS)))
def test_twin_equals_recorded_spikes_of_pilotnet(pilotnet, pilotnet_run, k):
    found, recorded = pilotnet_pair(pilotnet, pilotnet_run, k, "s")
    np.testing.assert_array_equal(found, recorded)


@pytest.mark.parametrize("k", range(1, len(PILOTNET_LAYERS)))
def test_twin_equals_recorded_u_of_pilotnet(pilotnet, pilotnet_run, k):
    found, recorded = pilotnet_pair(pilotnet, pilotnet_run, k, "u")
    np.testing.assert_array_equal(found, recorded)


@pytest.mark.parametrize("k", range(1, len(PILOTNET_LAYERS)))
def test_twin_equals_recorded_v_of_silent_pilotnet_neurons(pilotnet, pilotnet_run, k):
    found, recorded = pilotnet_pair(pilotnet, pilotnet_run, k, "v")
    fired, _ = pilotnet_pair(pilotnet, pilotnet_run, k, "s")
    # Where a neuron fired, the recording holds the chip's refractory code.
    np.testing.assert_array_equal(found[fired == 0], recorded[fired == 0])


@given(cases())
@settings(max_examples=100)
def test_twin_equals_the_reference_on_any_program(case):
    clock = LavaClock(steps=case.steps, reset_interval=case.interval, reset_offset=case.offset)
    assert_equal_traces(run_case(case, clock), reference(**vars(case)))


def back_to_back(x, steps, length):
    """Payloads `[N, *shape]`, each held for `steps` steps, as one train `[T, 1, *shape]`."""
    train = np.zeros((length, 1, *x.shape[1:]), np.int64)
    train[: len(x) * steps, 0] = np.repeat(x, steps, axis=0)
    return train


def in_windows(trace, clock, phase, samples):
    """A trace of one long run, cut into samples: `[T, N, *shape]`."""

    def cut(values):
        return np.stack([values[clock.window(phase, j), 0] for j in range(samples)], axis=1)

    return Trace(s=cut(trace.s), u=cut(trace.u), v=cut(trace.v))


@pytest.mark.parametrize("dv", [0, 1024, 4096])
@pytest.mark.parametrize("bias", [None, -1, 1, 32767])
@pytest.mark.parametrize("weight", [2**17 - 32768, 2**17 - 1, 2**17, 2**17 + 1])
def test_twin_equals_the_reference_at_the_edges_of_u(weight, bias, dv):
    stated = None if bias is None else np.array([bias], np.int32)
    program = Program(
        sources=(Source(name="x", shape=(1,), low=-1, message_bits=2),),
        populations=(Population(name="a", shape=(1,), dv=dv, vth=131071, bias=stated),),
        synapses=(Synapse(source="x", target="a", weight=np.array([[weight]], np.int32)),),
        outputs=("a",),
    )
    x = np.array([-1, -1, 1, 1, 1, -1, 0, -1])[:, None, None]
    case = Case(program, {"x": x}, {}, steps=8, batch=1)
    assert_equal_traces(run_case(case, LavaClock(steps=8)), reference(**vars(case)))


@given(levelled())
@settings(max_examples=60)
def test_windows_equal_lavas_clock_on_levelled_programs(case):
    layers, steps, samples = case.program.populations, case.steps, case.batch
    length = samples * steps + 1 + max(p.phase for p in layers)
    clock = LavaClock(steps=length, reset_interval=steps, reset_offset=1)
    long = {name: back_to_back(x, steps, length) for name, x in case.inputs.items()}
    traces = reference(case.program, long, steps=length, batch=1, interval=steps, offset=1)
    cut = {p.name: in_windows(traces[p.name], clock, p.phase, samples) for p in layers}
    held = replace(case, inputs={name: x[None] for name, x in case.inputs.items()})
    assert_equal_traces(run_case(held, Window(steps=steps)), cut)


def test_windows_equal_lavas_clock_behind_a_bias_driven_block(rng):
    program, bias = bias_driven(), rng.integers(-300, 300, (1, 2, 3, 3)).astype(np.int32)
    clock = LavaClock(steps=3 * 6 + 2, reset_interval=6)
    traces = reference(program, {}, steps=clock.steps, batch=1, interval=6, biases={"block": bias})
    cut = {p.name: in_windows(traces[p.name], clock, p.phase, 3) for p in program.populations}
    biases = torch.from_numpy(np.repeat(bias, 3, axis=0))
    run = Twin(program).run({}, Window(steps=6), biases={"block": biases}, record=True)
    assert_equal_traces(run, cut)


@given(cases())
@settings(max_examples=25)
def test_samples_do_not_depend_on_their_batch(case):
    clock = LavaClock(steps=case.steps, reset_interval=case.interval, reset_offset=case.offset)
    whole = run_case(case, clock)
    for j in range(case.batch):
        inputs = {name: x[:, j : j + 1] for name, x in case.inputs.items()}
        biases = {name: b[j : j + 1] for name, b in case.biases.items()}
        alone = run_case(replace(case, inputs=inputs, biases=biases), clock)
        for p in case.program.populations:
            for key, value in suv(alone, p.name).items():
                np.testing.assert_array_equal(value[:, 0], suv(whole, p.name)[key][:, j])


@pytest.mark.parametrize("name", ["triangle", "sigmoid", "arctan", "rga"])
def test_forward_is_the_same_under_every_estimator(name):
    program, x = chain(graded=True), torch.arange(-8.0, 8.0).reshape(1, 2, 8)
    plain = Twin(program).run({"x": x}, Window(steps=5))
    run = Twin(program).run(
        {"x": x.clone().requires_grad_()}, Window(steps=5), estimator=estimator(name)
    )
    assert all(torch.equal(run.spikes[k], plain.spikes[k]) for k in plain.spikes)


def test_binary_input_counts_as_one_also_where_it_is_differentiated():
    x = torch.tensor([[[-2.0, 0, 1, 3, 0, 1, 0, 7]]]).repeat(5, 1, 1)
    clock = LavaClock(steps=5)
    plain = Twin(chain()).run({"x": x}, clock, record=True)
    run = Twin(chain()).run(
        {"x": x.clone().requires_grad_()}, clock, estimator=estimator("arctan"), record=True
    )
    assert torch.equal(run.registers["a"].u, plain.registers["a"].u)


def test_every_step_of_a_held_payload_is_the_same():
    x = torch.arange(-8, 8).reshape(1, 2, 8)
    held, stated = (
        Twin(chain(graded=True)).run({"x": given}, Window(steps=4), record=True)
        for given in (x, x.repeat(4, 1, 1))
    )
    for name in ("a", "b"):
        for key, value in suv(held, name).items():
            np.testing.assert_array_equal(value, suv(stated, name)[key])


def test_a_program_that_only_its_biases_drive_runs_once():
    layer = Population(name="a", shape=(2,), vth=9, bias=np.array([5, -5], np.int32))
    program = Program(sources=(), populations=(layer,), synapses=(), outputs=("a",))
    run = Twin(program).run({}, LavaClock(steps=4), record=True)
    assert suv(run, "a")["v"][:, 0].tolist() == [[320, -320], [0, -640], [320, -960], [0, -1280]]


def chain(*, graded=False, **changes):
    """Eight inputs, `a` of four neurons, `b` of two."""
    source = {"low": -8, "high": 8, "message_bits": 5} if graded else {}
    weight = np.arange(32, dtype=np.int32).reshape(4, 8) % 7 - 3
    return Program(
        sources=(Source(name="x", shape=(8,), **source),),
        populations=(
            Population(name="a", shape=(4,), vth=changes.pop("vth", 2)),
            Population(name="b", shape=(2,), vth=1, phase=changes.pop("phase", 1)),
        ),
        synapses=(
            Synapse(source="x", target="a", weight=weight),
            Synapse(source="a", target="b", weight=weight[:2, :4]),
        ),
        outputs=("b",),
        **changes,
    )


def bias_driven():
    """An input block on a map, and a convolution behind it."""
    weight = np.arange(36, dtype=np.int32).reshape(2, 2, 3, 3) % 11 - 4
    return Program(
        sources=(),
        populations=(
            Population(name="block", shape=(2, 3, 3), du=4096, dv=300, vth=200),
            Population(name="map", shape=(2, 2, 2), du=900, dv=0, vth=9, phase=1),
        ),
        synapses=(
            Synapse(source="block", target="map", weight=weight, padding=(1, 1), stride=(2, 2)),
        ),
        outputs=("map",),
    )


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, r"expected input \[T, N, 8\] for source 'x', got nothing; check the axes"),
        ({"x": torch.zeros(3, 2, 7)}, r"for source 'x', got \[3, 2, 7\]"),
        ({"x": torch.full((3, 2, 8), 9)}, r"payloads of source 'x' in -8..8, got 9..9"),
        ({"x": torch.full((3, 2, 8), -9)}, r"payloads of source 'x' in -8..8, got -9..-9"),
        ({"x": torch.full((3, 2, 8), 0.5)}, "expected whole numbers from source 'x', got 0.5; ro"),
        ({"x": torch.full((3, 2, 8), -2.25)}, "expected whole numbers from source 'x', got -2.25"),
        (
            {"x": torch.full((3, 2, 8), torch.nan)},
            "expected whole numbers from source 'x', got nan",
        ),
        (
            {"x": torch.full((3, 2, 8), torch.inf)},
            "expected whole numbers from source 'x', got inf",
        ),
        (
            {"x": torch.zeros(3, 2, 8), "y": torch.zeros(3, 2, 8)},
            r"expected inputs among \['x'\], got 'y'; correct the name or leave it out",
        ),
        ({"x": torch.zeros(4, 2, 8)}, r"expected 3 steps of source 'x', got 4; cut or pad"),
        ({"x": torch.zeros(1, 2, 8)}, r"expected 3 steps of source 'x', got 1; cut or pad"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs, message):
    with pytest.raises(DataError, match=message):
        Twin(chain(graded=True)).run(inputs, LavaClock(steps=3))


def test_fractions_of_binary_input_are_refused():
    with pytest.raises(DataError, match=r"expected whole numbers from source 'x', got 0\.5"):
        Twin(chain()).run({"x": torch.full((3, 2, 8), 0.5)}, LavaClock(steps=3))


@pytest.mark.parametrize(
    ("bias", "found"),
    [
        (torch.full((1, 4), 1.5), r"1.5..1.5 in torch.float32"),
        (torch.full((1, 4), 40000), r"40000..40000 in torch.int64"),
        (torch.full((1, 4), -32769), r"-32769..-32769 in torch.int64"),
    ],
)
def test_biases_that_lava_would_wrap_or_cut_are_refused(bias, found):
    message = rf"integer biases in -32768\.\.32767 for population 'a', got {found}; round or"
    with pytest.raises(DataError, match=message):
        Twin(chain()).run({"x": torch.zeros(2, 1, 8)}, LavaClock(steps=2), biases={"a": bias})


def test_biases_that_do_not_fit_are_refused():
    biases = {"block": torch.zeros(1, 3, 3, 2, dtype=torch.int32)}
    with pytest.raises(
        DataError, match=r"biases \[N, 2, 3, 3\] for population 'block', got \[1, 3"
    ):
        Twin(bias_driven()).run({}, LavaClock(steps=2), biases=biases)


def test_batches_that_differ_are_refused():
    biases = {"a": torch.zeros(3, 4, dtype=torch.int32)}
    with pytest.raises(DataError, match="one batch size"):
        Twin(chain()).run({"x": torch.zeros(2, 1, 8)}, LavaClock(steps=2), biases=biases)


def test_unlevelled_programs_are_refused_on_windows():
    with pytest.raises(UnsupportedNodeError, match=r"synapse a -> b out of step; insert relay"):
        Twin(chain(phase=2)).run({"x": torch.zeros(1, 1, 8)}, Window(steps=2))


def test_thresholds_of_zero_are_not_differentiated():
    x = torch.ones(1, 1, 8, requires_grad=True)
    with pytest.raises(
        RangeError, match=r"thresholds above 0 to differentiate population 'a', got"
    ):
        Twin(chain(vth=0)).run({"x": x}, Window(steps=2), estimator=estimator("rga"))


def test_sums_that_no_number_format_holds_are_refused():
    source = Source(name="x", shape=(8,), low=0, high=2**30, message_bits=31)
    weight = np.full((2, 8), 2**21, np.int32)
    program = Program(
        sources=(source,),
        populations=(Population(name="a", shape=(2,), vth=1),),
        synapses=(Synapse(source="x", target="a", weight=weight),),
        outputs=("a",),
    )
    with pytest.raises(RangeError, match=r"expected sums below 2\^53, got up to 18014398509481984"):
        Twin(program)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twin_equals_the_reference_on_ten_million_neuron_steps():
    seen = 0

    @given(cases(steps=st.just(250), batch=st.just(16)))
    @settings(max_examples=450)
    def check(case):
        nonlocal seen
        if seen >= 10_000_000:
            return
        clock = LavaClock(steps=case.steps, reset_interval=case.interval, reset_offset=case.offset)
        assert_equal_traces(run_case(case, clock), reference(**vars(case)))
        seen += case.steps * case.batch * sum(p.size for p in case.program.populations)

    check()
    assert seen >= 10_000_000
