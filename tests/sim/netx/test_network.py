"""`.net` files: every option of a layer, and what Lava makes of numbers that do not fit."""

import h5py
import numpy as np
import pytest

from spikeproof.core.errors import FormatError
from spikeproof.sim.netx import dense as netx_dense
from spikeproof.sim.netx.network import read_netx
from spikeproof.sim.program import Source
from spikeproof.tests.sim.netx_files import layers, neuron, ramp, write


@pytest.fixture
def net(tmp_path):
    """Writes the valid network with some fields of one layer changed, and reads it."""

    def read(index=0, /, *, only=None, message_bits=0, **changes):
        content = layers()
        content[index] |= {name.replace("__", "/"): value for name, value in changes.items()}
        content = content if only is None else content[:only]
        path = write(tmp_path / "network.net", content)
        return read_netx(path, message_bits=message_bits, payload=(-9, 9))

    return read


def vector_net(tmp_path, **changes):
    """One dense layer, three inputs and three neurons."""
    layer = {"type": "dense", "shape": [3], "weight": ramp(3, 3, low=-4)} | neuron() | changes
    return read_netx(write(tmp_path / "vector.net", [layer]))


def test_layers_become_numbered_populations(net):
    program = net().program
    found = [(p.name, p.shape, p.phase) for p in program.populations]
    assert found == [
        ("layer1", (4, 2, 3), 0),
        ("layer3", (5,), 1),
        ("layer4", (3,), 2),
    ]
    assert program.outputs == ("layer4",)


def test_an_input_without_neurons_becomes_a_source(net):
    assert net().program.sources == (Source(name="input", shape=(2, 5, 4)),)


def test_graded_input_becomes_a_graded_source(net):
    (source,) = net(message_bits=8).program.sources
    assert source == Source(name="input", shape=(2, 5, 4), low=-9, high=9, message_bits=8)


def test_an_input_with_neurons_becomes_a_population_that_ignores_its_transform(net):
    network = net(0, only=2, weight=64, bias=7, **neuron(vThMant=9))
    first = network.program.populations[0]
    assert network.is_bias_driven
    assert (first.name, first.shape, first.bias, first.vth) == ("layer0", (2, 5, 4), None, 9)


def test_neuron_fields_are_read(net):
    fields = neuron(type="LOIHI", iDecay=[17], vDecay=4096, vThMant=131071, wgtExp=3, theta=1)
    population = net(1, **fields).program.populations[0]
    assert (population.du, population.dv, population.vth) == (17, 4096, 131071)


def test_convolutions_keep_every_option_in_height_width_order(net):
    (synapse,) = net().program.into("layer1")
    assert (synapse.stride, synapse.padding, synapse.dilation) == ((2, 1), (1, 0), (2, 1))
    assert synapse.groups == 2
    np.testing.assert_array_equal(synapse.weight, ramp(4, 1, 3, 2))


def test_one_number_stands_for_both_axes_of_a_convolution(net):
    options = {"stride": 2, "padding": 1, "dilation": 1, "shape": [4, 3, 3], "groups": 2}
    (synapse,) = net(1, only=2, **options).program.into("layer1")
    assert (synapse.stride, synapse.padding, synapse.dilation) == ((2, 2), (1, 1), (1, 1))


@pytest.mark.parametrize("trailing", [(1,), (1, 1)])
def test_convolution_weights_may_have_trailing_axes(net, trailing):
    (synapse,) = net(1, weight=ramp(4, 1, 3, 2, *trailing)).program.into("layer1")
    np.testing.assert_array_equal(synapse.weight, ramp(4, 1, 3, 2))


def test_text_may_be_an_array_or_of_variable_length(tmp_path):
    path = write(tmp_path / "network.net", layers())
    with h5py.File(path, "a") as file:
        del file["layer/1/type"], file["layer/1/neuron/type"]
        file["layer/1/type"] = "conv"
        file["layer/1/neuron/type"] = np.array([b"CUBA"])
    assert len(read_netx(path).program.populations) == 3


@pytest.mark.parametrize(
    ("bias", "expected"),
    [
        ([3, -2, 1, 0], np.array([3, -2, 1, 0])[:, None, None]),
        (ramp(3, 2, 4), ramp(3, 2, 4).transpose(2, 1, 0)),
    ],
    ids=["channels", "neurons in Lava's (W, H, C)"],
)
def test_biases_of_maps_are_read(net, bias, expected):
    population = net(1, bias=bias).program.populations[0]
    np.testing.assert_array_equal(population.bias, expected)


def test_a_layer_that_does_not_fit_in_memory_is_refused(net, monkeypatch):
    monkeypatch.setattr(netx_dense, "dense_weights", lambda *given, **options: np.empty(1 << 55))
    with pytest.raises(
        FormatError, match="expected layer 3 of .*network.net to fit in memory, got"
    ):
        net()


@pytest.mark.parametrize("bias", [7, [7], [7, 7, 7, 7, 7], [[7, 7, 7, 7, 7]]])
def test_biases_of_vectors_are_read(net, bias):
    np.testing.assert_array_equal(net(3, bias=bias).program.populations[1].bias, [7] * 5)


@pytest.mark.parametrize(
    ("delay", "expected"),
    [
        (4, 4),
        ([1, 2, 3], [[1] * 3, [2] * 3, [3] * 3]),  # outputs first, where both would fit
        (ramp(3, 3, low=0), ramp(3, 3, low=0)),
    ],
    ids=["one", "by neuron", "by synapse"],
)
def test_delays_are_read(tmp_path, delay, expected):
    (synapse,) = vector_net(tmp_path, delay=delay).program.synapses
    np.testing.assert_array_equal(synapse.delay, expected)


def test_delays_of_inputs_are_read(net):
    (synapse,) = net(3, delay=np.arange(24)).program.into("layer3")
    np.testing.assert_array_equal(synapse.delay, np.repeat(np.arange(24)[None], 5, axis=0))


def test_dense_layers_without_neurons_integrate_u_and_never_fire(tmp_path):
    path = write(tmp_path / "network.net", [{"type": "dense", "shape": [2], "weight": ramp(2, 3)}])
    (population,) = read_netx(path).program.populations
    assert (population.du, population.dv, population.vth) == (0, 4096, 131072)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ([7, 8, 9, 10], np.array([7, 8, 9, 10])[:, None, None]),
        ([[7], [8]], np.array([7, 8])[None, :, None]),
        ([[[7]], [[8]], [[9]]], np.array([7, 8, 9])[None, None, :]),
        (ramp(3, 2, 4), ramp(3, 2, 4).transpose(2, 1, 0)),
        ([[[7]]], 7),
        ([7, 7, 7, 7], 7),
    ],
    ids=["channels", "rows", "columns", "neurons", "one number", "equal numbers"],
)
def test_thresholds_and_decays_are_spread_over_lavas_axes(net, stated, expected):
    keys = {"iDecay": "du", "vDecay": "dv", "vThMant": "vth"}
    population = net(1, **{f"neuron/{key}": stated for key in keys}).program.populations[0]
    for name in keys.values():
        np.testing.assert_array_equal(
            np.broadcast_to(getattr(population, name), population.shape),
            np.broadcast_to(expected, population.shape),
        )


def test_the_first_number_of_many_that_does_not_fit_is_told(net):
    (warning,) = net(3, **{"neuron/iDecay": [1, 5000, 2, -3, 4]}).warnings
    assert "got iDecay 5000 outside 0..4096;" in warning


def test_a_flatten_waits_for_the_next_dense_layer_as_in_lava(tmp_path):
    entry, conv, flatten, dense, _ = layers()
    orders = [entry, flatten, conv, dense], [entry, conv, flatten, dense]
    found = [read_netx(write(tmp_path / f"{k}.net", each)).program for k, each in enumerate(orders)]
    assert found[0].shapes.keys() == {"input", "layer2", "layer3"}
    assert list(found[0].shapes.values()) == list(found[1].shapes.values())


@pytest.mark.parametrize("entry", [{"type": "input"}, {"type": "input", "shape": [6, 4]}])
def test_dense_layers_need_no_shape_of_the_input(tmp_path, entry):
    path = write(tmp_path / "a.net", [entry, layers()[3]])
    assert read_netx(path).program.sources[0].shape == (24,)


def test_dense_weights_may_be_a_row_major_vector(net):
    (synapse,) = net(3, weight=ramp(120)).program.into("layer3")
    np.testing.assert_array_equal(synapse.weight, ramp(5, 24))


@pytest.mark.parametrize("shape", [3, [3], [1, 3], [3, 1, 1]])
def test_dense_layers_have_as_many_neurons_as_the_product_of_their_shape(tmp_path, shape):
    assert vector_net(tmp_path, shape=shape).program.populations[0].shape == (3,)


def test_recurrent_layers_get_a_synapse_onto_themselves(net):
    given, recurrent = net().program.into("layer4")
    assert (given.source, recurrent.source) == ("layer3", "layer4")
    np.testing.assert_array_equal(recurrent.weight, ramp(3, 3))


def test_recurrent_weights_of_an_ordinary_layer_are_ignored_as_by_lava(net):
    program = net(3, weight_rec=ramp(5, 5)).program
    assert [synapse.source for synapse in program.into("layer3")] == ["layer1"]


def test_networks_that_fit_have_no_warnings(net):
    assert net().warnings == ()


CHANGES = {
    "fractions in weight": (1, {"weight": ramp(4, 1, 3, 2) + 0.5}),
    "fractions in bias": (1, {"bias": [1.5, 2, 3, 4]}),
    "fractions in delay": (3, {"delay": 1.5}),
    "a delay, which Lava ignores in a convolution": (1, {"delay": 1}),
    "refDelay 2, which Lava ignores": (1, {"neuron/refDelay": 2}),
    "wgtExp 6, which Lava ignores": (3, {"neuron/wgtExp": 6}),
    "gradedSpike True, which Lava ignores": (4, {"neuron/gradedSpike": True}),
    "biases up to 40000 outside int16": (1, {"bias": [40000, 0, 0, 0]}),
    "iDecay 4097 outside 0..4096": (1, {"neuron/iDecay": 4097}),
    "vDecay -1 outside 0..4096": (3, {"neuron/vDecay": -1}),
    "vThMant 131072 outside 0..131071": (1, {"neuron/vThMant": 131072}),
    "delays up to 63 outside 0..62": (3, {"delay": 63}),
    "weights -300..2 outside -256..254": (3, {"weight": ramp(5, 24, low=-300)}),
    "weights of one sign up to 256, all of which Lava sets to 0": (
        3,
        {"weight": ramp(5, 24, low=246)},
    ),
    "weights of one sign, of which Lava rounds -128": (3, {"weight": ramp(5, 24, low=-128)}),
}
CHANGES["weights -300..2 outside -256..254"][1]["weight"][0, 0] = 2


@pytest.mark.parametrize("text", CHANGES)
def test_numbers_that_do_not_fit_are_warned_of(net, text):
    index, fields = CHANGES[text]
    (warning,) = net(index, **fields).warnings
    assert warning.startswith(f"expected layer{index} of ")
    assert warning.endswith(f"to fit the chip, got {text}; computed as Lava does")


def test_all_changes_of_a_layer_share_one_warning(net):
    changes = {"bias": [1.5, 2, 3, 40000], "neuron/iDecay": 5000}
    (warning,) = net(1, **changes).warnings
    assert "got fractions in bias; biases up to 40000 outside int16; iDecay 5000" in warning


def test_numbers_that_do_not_fit_become_what_lava_makes_of_them(net):
    changes = {"bias": [1.9, -1.9, 40000, -40000], "neuron/vThMant": np.int32((1 << 26) - 1)}
    population = net(1, **changes).program.populations[0]
    np.testing.assert_array_equal(population.bias.reshape(-1), [1, -1, -25536, 25536])
    assert population.vth == -1


def test_delays_beyond_the_chip_are_clamped(net):
    (synapse,) = net(3, delay=1000).program.into("layer3")
    assert synapse.delay == 62
