import warnings
from typing import Any

import h5py
import numpy as np
import pytest

from spikeproof.core.errors import (
    ConfigError,
    DataError,
    FormatError,
    RangeError,
    UnsupportedNodeError,
)
from spikeproof.sim.arrays import read_arrays
from spikeproof.sim.netx import simulation as netx_simulation
from spikeproof.sim.netx.input import NetxInput, read_input
from spikeproof.sim.netx.simulation import simulate_lava, simulate_twin
from spikeproof.sim.oracle import run as lava
from spikeproof.tests.sim.netx_files import layers, write
from spikeproof.tests.trackers import Recorder

GOLDEN = ("mlp_cuba", "conv_reset", "wrap_clip")


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


def write_net(path, *, neuron=(), kind="dense", **fields):
    """Four inputs, three neurons with whatever else `fields` say."""
    weight = np.arange(12).reshape(3, 4) % 7 - 2
    layer = {"type": kind, "shape": [3], "weight": weight} | fields
    if neuron is not None:
        values = {"type": "CUBA", "iDecay": 1024, "vDecay": 128, "vThMant": 5} | dict(neuron)
        layer |= {f"neuron/{name}": value for name, value in values.items()}
    with h5py.File(path, "w") as file:
        for index, fields in enumerate([{"type": "input", "shape": [4]}, layer]):
            for name, value in fields.items():
                stored = np.bytes_(value) if isinstance(value, str) else np.asarray(value)
                file[f"layer/{index}/{name}"] = stored
    return path


def twin(network, *, strict=False, trace=True, **fields: Any):
    given: dict[str, Any] = {"steps": 6, "x": np.ones((4, 6), np.int32)} | fields
    return simulate_twin(network, NetxInput(**given), trace=trace, strict=strict)


def golden_of(shared, name):
    folder = shared / "lava-golden"
    return folder / f"{name}.net", read_input(folder / f"{name}.npz"), folder / f"{name}.npz"


@pytest.mark.parametrize("name", GOLDEN)
def test_twin_reproduces_what_lava_recorded(shared, name):
    network, given, recorded = golden_of(shared, name)
    expected = {
        key: a for key, a in read_arrays(recorded).items() if key[0] in "suv" and key[1:].isdigit()
    }
    found = simulate_twin(network, given, trace=True, strict=False)
    assert sorted(found) == sorted(expected)
    for key, value in expected.items():
        assert found[key].dtype == value.dtype
        np.testing.assert_array_equal(found[key], value, err_msg=key)


@pytest.mark.lava
@pytest.mark.parametrize("name", GOLDEN)
def test_lava_and_twin_take_the_same_input(shared, name):
    network, given, _ = golden_of(shared, name)
    ours = simulate_twin(network, given, trace=False, strict=False)
    theirs = simulate_lava(network, given, trace=False, strict=False, timeout=200.0)
    assert sorted(ours) == sorted(theirs)
    for key, value in theirs.items():
        np.testing.assert_array_equal(ours[key], value, err_msg=key)


def test_progress_is_told_by_layers(tmp_path):
    network, tracker = write(tmp_path / "a.net", layers()), Recorder()
    given = NetxInput(steps=6, x=np.ones((4, 5, 2, 6), np.int32))
    simulate_twin(network, given, trace=False, strict=True, tracker=tracker)
    assert tracker.counts == [("twin", 3, 3)]
    assert tracker.bars[0].notes == ["layer1", "layer3", "layer4"]


def test_a_run_of_lava_says_how_long_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(lava, "run_lava_many", lambda requests, **options: [{}])
    given, tracker = NetxInput(steps=6, x=np.ones((4, 6), np.int32)), Recorder()
    network = write_net(tmp_path / "a.net")
    simulate_lava(network, given, trace=False, strict=True, tracker=tracker)
    assert [(bar.label, bar.notes) for bar in tracker.bars] == [("Lava", ["6 steps"])]


def test_without_trace_there_are_only_spikes(tmp_path):
    assert list(twin(write_net(tmp_path / "a.net"), trace=False)) == ["s0"]


def test_payload_multiplies_only_with_message_bits(tmp_path):
    network, x = write_net(tmp_path / "a.net", neuron={"vThMant": 131071}), np.full((4, 6), -3)
    with pytest.warns(UserWarning, match="outside 0..1 of binary spikes"):
        plain = twin(network, x=x)["u0"]
    assert (plain == twin(network)["u0"]).all()
    assert (twin(network, x=x, input_message_bits=8)["u0"][:, 1] == -3 * plain[:, 1]).all()


def test_reset_offset_shifts_the_reset(tmp_path):
    network = write_net(tmp_path / "a.net", neuron={"vThMant": 131071, "iDecay": 0})
    u = [twin(network, reset_interval=3, reset_offset=k)["u0"][1].tolist() for k in (0, 1)]
    assert u[0][3] == u[0][0] + u[0][1]
    assert u[0] != u[1]
    assert sorted(map(len, u)) == [6, 6]


def test_input_is_read_with_its_numbers(tmp_path):
    path = save(
        tmp_path / "in.npz",
        x=np.array([[1.9, -1.9]]),
        steps=2.0,
        reset_interval=[3],
        reset_offset=2,
        input_message_bits=np.uint8(9),
    )
    given = read_input(path)
    assert given.x is not None
    assert (given.x.tolist(), given.x.dtype) == ([[1, -1]], np.int32)
    assert (given.steps, given.reset_interval, given.reset_offset) == (2, 3, 2)
    assert (given.input_message_bits, given.payload) == (9, (-1, 1))


def test_absent_numbers_have_defaults(tmp_path):
    given = read_input(save(tmp_path / "in.npz", input_bias=np.ones((2, 2, 1)), steps=4))
    assert (given.x, given.reset_interval, given.reset_offset) == (None, None, 0)
    assert (given.input_message_bits, given.payload) == (0, (0, 1))


X = np.ones((4, 6))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "expected x or input_bias in .*, got nothing"),
        ({"steps": 6}, "expected x or input_bias in .*, got steps; add"),
        ({"x": X, "steps": 6, "reset_intervall": 3}, "traces such as s0.*, got reset_intervall; c"),
        ({"x": X, "steps": 6, "s": X, "u1x": X}, "traces such as s0 in .*, got s, u1x; correct"),
        ({"x": X}, "expected steps in .*, got none"),
        ({"x": X, "steps": 5}, r"x in .* as steps says, 5, got shape \[4, 6\]"),
        ({"x": np.ones(()), "steps": 1}, r"as steps says, 1, got shape \[\]"),
        ({"x": X * np.nan, "steps": 6}, "expected finite numbers in x of .*, got NaN or infinity"),
        ({"x": X * np.inf, "steps": 6}, "expected finite numbers in x"),
        ({"x": np.array([["a"]]), "steps": 1}, "expected numbers in x of .*, got <U1; store them"),
        ({"x": X * 2.0**31, "steps": 6}, r"32-bit numbers in x of .*, got up to 2.14748e\+09"),
        ({"x": X * 1e300, "steps": 6}, r"32-bit numbers in x of .*, got up to 1e\+300"),
        ({"x": np.full((1, 1), np.iinfo(np.int64).min), "steps": 1}, "32-bit numbers in x"),
        ({"x": np.full((1, 1), 2**64 - 1, np.uint64), "steps": 1}, "32-bit numbers in x"),
        ({"input_bias": X * np.nan, "steps": 6}, "expected finite numbers in input_bias"),
        ({"x": X, "steps": 0}, r"a whole number 1..1048576 as steps of .*, got 0"),
        ({"x": X, "steps": 6.5}, "as steps of .*, got 6.5; mend"),
        ({"x": X, "steps": 2**40}, "as steps of .*, got 1099511627776; mend"),
        ({"x": X, "steps": [6, 6]}, "one whole number steps in"),
        ({"x": X, "steps": np.nan}, "one whole number steps in"),
        ({"x": X, "steps": "six"}, "one whole number steps in"),
        ({"x": X, "steps": 6, "reset_interval": 0}, "as reset_interval of .*, got 0"),
        ({"x": X, "steps": 6, "reset_offset": -1}, "as reset_offset of .*, got -1"),
        ({"x": X, "steps": 6, "input_message_bits": -1}, "as input_message_bits of .*, got -1"),
        (
            {"x": X, "steps": 6, "input_message_bits": 33},
            r"0\.\.32 as input_message_bits",
        ),
    ],
)
def test_input_that_says_nothing_lawful_is_refused(tmp_path, arrays, message):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = save(tmp_path / "in.npz", **arrays)
        with pytest.raises(DataError, match=message):
            read_input(path)


def test_file_that_is_no_npz_is_refused(tmp_path):
    (tmp_path / "in.npz").write_text("x")
    with pytest.raises(FormatError, match="expected an npz file"):
        read_input(tmp_path / "in.npz")


@pytest.mark.parametrize("run", [simulate_twin, simulate_lava])
@pytest.mark.parametrize("shape", [(3, 6), (4, 1, 1, 6), (6,)])
def test_x_of_another_shape_is_refused_on_both_backends(tmp_path, run, shape):
    given = NetxInput(steps=6, x=np.ones(shape, np.int32))
    with pytest.raises(DataError, match=r"expected x \(4, T\) for .*, got \("):
        run(write_net(tmp_path / "a.net"), given, trace=False, strict=False)


@pytest.mark.parametrize("run", [simulate_twin, simulate_lava])
def test_bias_without_input_block_is_refused_on_both_backends(tmp_path, run):
    given = NetxInput(steps=6, x=np.ones((4, 6), np.int32), input_bias=np.ones(4, np.int32))
    with pytest.raises(DataError, match="expected no input_bias for .*driven by x alone"):
        run(write_net(tmp_path / "a.net"), given, trace=False, strict=False)


def test_missing_x_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected x \(4, T\) for .*, got None"):
        twin(write_net(tmp_path / "a.net"), x=None)


def block(path, shape=(1, 2, 3)):
    """An input block, of 2x3 neurons and one channel."""
    with h5py.File(path, "w") as file:
        fields = {"type": "CUBA", "iDecay": 4096, "vDecay": 0, "vThMant": 131071}
        for name, value in fields.items():
            stored = np.bytes_(value) if isinstance(value, str) else value
            file[f"layer/0/neuron/{name}"] = stored
        file["layer/0/type"], file["layer/0/shape"] = np.bytes_("input"), shape
    return path


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, r"input_bias \(3, 2, 1\) for the input block of .*, got None"),
        ({"input_bias": np.ones((2, 3, 1))}, r"input_bias \(3, 2, 1\) .*, got \(2, 3, 1\)"),
        ({"x": np.ones((4, 6)), "input_bias": np.ones((3, 2, 1))}, "expected no x for"),
    ],
)
def test_input_block_takes_its_bias_alone(tmp_path, fields, message):
    given: dict[str, Any] = {"x": None}
    given |= {name: value.astype(np.int32) for name, value in fields.items()}
    with pytest.raises(DataError, match=message):
        twin(block(tmp_path / "a.net"), **given)


def test_bias_beyond_int16_wraps_with_a_warning(tmp_path):
    bias = np.full((3, 2, 1), 32769, np.int32)
    with pytest.warns(UserWarning, match=r"input_bias 32769\.\.32769 outside int16"):
        found = twin(block(tmp_path / "a.net"), x=None, input_bias=bias)
    assert (found["v0"][..., 0] == -32767 * 64).all()
    with pytest.raises(RangeError, match=r"expected the input of .*a.net to fit the chip"):
        twin(tmp_path / "a.net", x=None, input_bias=bias, strict=True)


OUT_OF_RANGE = {
    "decay": ({"neuron": {"iDecay": 5000}}, "iDecay 5000 outside 0..4096"),
    "weight": ({"weight": np.arange(12).reshape(3, 4) * 40 - 60}, "weights -60..380 outside"),
    "delay": ({"delay": np.array([0, 70, 1])}, "delays .*70 outside 0..62"),
    "bias": ({"bias": np.array([40000, 0, 0])}, "biases up to 40000 outside int16"),
    "fraction": ({"weight": np.arange(12).reshape(3, 4) - 1.5}, "fractions in weight"),
    "no neuron": ({"neuron": None}, "no neuron, for which u integrates without decay"),
}


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_numbers_out_of_range_warn_once_a_layer(tmp_path, name):
    fields, message = OUT_OF_RANGE[name]
    with pytest.warns(UserWarning, match=message) as caught:
        twin(write_net(tmp_path / "a.net", **fields))
    assert len(caught) == 1
    assert "expected layer1 of" in str(caught[0].message)


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_strict_refuses_numbers_out_of_range(tmp_path, name):
    fields, message = OUT_OF_RANGE[name]
    with pytest.raises(RangeError, match=message):
        twin(write_net(tmp_path / "a.net", **fields), strict=True)


def test_neurons_with_message_bits_are_refused(tmp_path):
    network = write_net(tmp_path / "a.net", neuron={"messageBits": 8})
    with pytest.raises(
        UnsupportedNodeError, match="expected no messageBits in .*a.net/layer/1/neuron, "
    ):
        twin(network)


BEYOND = {
    "fractions": ({"x": np.full((4, 6), 1.5)}, "fractions in x"),
    "not binary": ({"x": np.full((4, 6), -3)}, r"x -3\.\.-3 outside 0\.\.1 of binary spikes"),
    "payload": (
        {"x": np.eye(4, 6) * 300, "input_message_bits": 8},
        r"x 0\.\.300 outside -128\.\.127 of 8 message bits",
    ),
    "both": (
        {"x": np.full((4, 6), 200.5), "input_message_bits": 8},
        r"fractions in x; x 200\.\.200 outside -128\.\.127",
    ),
}


@pytest.mark.parametrize("name", BEYOND)
def test_input_that_does_not_fit_warns_once_and_strict_refuses_it(tmp_path, name):
    fields, message = BEYOND[name]
    network = write_net(tmp_path / "a.net")
    given = read_input(save(tmp_path / "in.npz", steps=6, **fields))
    with pytest.warns(UserWarning, match=message) as caught:
        simulate_twin(network, given, trace=False, strict=False)
    assert len(caught) == 1
    with pytest.raises(RangeError, match=message):
        simulate_twin(network, given, trace=False, strict=True)


def test_fractions_of_an_input_bias_are_told(tmp_path):
    save(tmp_path / "in.npz", input_bias=np.full((3, 2, 1), -2.5), steps=6)
    given = read_input(tmp_path / "in.npz")
    with pytest.warns(UserWarning, match="the input of .* got fractions in input_bias; computed"):
        found = simulate_twin(block(tmp_path / "a.net"), given, trace=True, strict=False)
    assert (found["v0"][..., 0] == -2 * 64).all()


@pytest.mark.parametrize(("bits", "low", "high"), [(0, 0, 1), (1, -1, 0), (9, -256, 255)])
def test_payload_at_the_ends_of_its_bits_fits(bits, low, high):
    x = np.array([[low, high]], dtype=np.int32)
    assert not list(NetxInput(steps=2, x=x, input_message_bits=bits).changes())
    assert list(NetxInput(steps=2, x=x + 1, input_message_bits=bits).changes())


def test_reset_offset_without_resets_is_refused(tmp_path):
    path = save(tmp_path / "in.npz", x=np.ones((4, 6)), steps=6, reset_offset=2)
    with pytest.raises(DataError, match="expected a reset_interval with reset_offset 2, got none"):
        read_input(path)


def test_a_layer_without_neurons_integrates_and_never_fires(tmp_path):
    network = write_net(tmp_path / "a.net", neuron=None, weight=np.full((3, 4), 100) - np.eye(3, 4))
    with pytest.warns(UserWarning, match="no neuron"):
        found = twin(network)
    assert (np.diff(found["u0"][:, 1:]) == 399 * 64).all()
    np.testing.assert_array_equal(found["v0"], found["u0"])
    assert not found["s0"].any()


@pytest.mark.parametrize("run", [simulate_twin, simulate_lava])
def test_runs_that_no_memory_holds_are_refused_on_both_backends(tmp_path, run):
    given = NetxInput(steps=1 << 20, input_bias=np.ones((1, 1, 1), np.int32))
    network = block(tmp_path / "a.net", shape=[1, 1 << 11, 1 << 11])
    message = "at most 268435456 neurons times steps of .*a.net, got 4194304 times 1048576; run f"
    with pytest.raises(ConfigError, match=message):
        run(network, given, trace=False, strict=False)


def test_strict_takes_what_fits(tmp_path):
    network = write_net(tmp_path / "a.net")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = twin(network, strict=True)
    np.testing.assert_array_equal(found["s0"], twin(network)["s0"])


def test_unknown_layer_is_refused_before_lava_could_skip_it(tmp_path):
    network = write_net(tmp_path / "a.net", kind="average")
    given = NetxInput(steps=6, x=np.ones((4, 6), np.int32))
    with pytest.raises(UnsupportedNodeError, match="expected layer 1 of .*, got 'average'"):
        simulate_lava(network, given, trace=False, strict=False)


def test_lava_is_given_what_the_file_says(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(netx_simulation, "run_lava", lambda r, **options: asked.append(r) or {})
    given = NetxInput(
        steps=6,
        x=np.ones((4, 6), np.int32),
        reset_interval=3,
        reset_offset=2,
        input_message_bits=9,
    )
    simulate_lava(write_net(tmp_path / "a.net"), given, trace=True, strict=True)
    (request,) = asked
    for name in ("steps", "x", "input_bias", "reset_interval", "reset_offset"):
        assert getattr(request, name) is getattr(given, name)
    assert request.input_message_bits == 9
