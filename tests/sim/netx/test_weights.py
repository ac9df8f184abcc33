"""Dense weights as Lava applies them: worked examples, and Lava's own functions."""

import subprocess
import sys

import numpy as np
import pytest

from spikeproof.core.errors import FormatError
from spikeproof.sim.netx.weights import dense_weights, recurrent_weights
from spikeproof.sim.oracle.run import lava_status

EXACT = [
    [[-256, 254], [3, -5]],
    [[127, -3]],
    [[200, -1]],
    [[64, -64]],
    [[255, 0, 1]],
    [[4, 8]],
    [[-255, -1]],
    [[-3, -1]],
]
CHANGED = {
    # both signs: clipped to -256..254
    "mixed beyond the range": ([[300, -300]], [[254, -256]], 0),
    "mixed at the upper edge": ([[255, -1]], [[254, -1]], 0),
    "mixed at the lower edge": ([[1, -257]], [[1, -256]], 0),
    # scaled by 2^-1: the count of kept bits turns negative, and numpy shifts all away
    "positive beyond the range": ([[256, 1]], [[0, 0]], 0),
    "negative beyond the range": ([[-257, -1]], [[0, 0]], 0),
    "not positive beyond the range": ([[-257, 0]], [[0, 0]], 0),
    # scaled to -256, clipped to -255, cut to the bits that are kept
    "negative at the edge": ([[-256, -1]], [[-255, -1]], 0),
    "negative power of two, 7 bits kept": ([[-128, -3]], [[-127, -3]], 0),
    "negative power of two, 1 bit kept": ([[-2, -1]], [[-1, -1]], 0),
    "negative power of two, no bit kept": ([[-1]], [[0]], 0),
    # lava-dl takes a zero for a second sign, Lava does not
    "negative with a zero": ([[-128, 0, -3]], [[-255, 0, -6]], 1),
    "minus one with a zero": ([[0, -1]], [[0, -128]], 8),
}


@pytest.mark.parametrize("weight", EXACT, ids=str)
def test_weights_that_fit_are_kept(weight):
    found = dense_weights(np.array(weight), place="layer1")
    assert (found.weight.tolist(), found.shift) == (weight, 0)


@pytest.mark.parametrize("name", CHANGED)
def test_weights_that_do_not_fit_become_what_lava_makes_of_them(name):
    stated, weight, shift = CHANGED[name]
    found = dense_weights(np.array(stated), place="layer1")
    assert (found.weight.tolist(), found.shift) == (weight, shift)


def test_matrices_of_zeros_are_refused():
    message = "expected a weight that is not zero in layer1 of a.net, got a matrix of zeros"
    with pytest.raises(FormatError, match=message):
        dense_weights(np.zeros((2, 3), int), place="layer1 of a.net")


def test_recurrent_halves_of_both_signs_are_kept():
    first, second = recurrent_weights(
        np.array([[100, 3], [-7, 1]]), np.array([[-100, 1], [0, 0]]), place="layer1"
    )
    assert (first.weight.tolist(), first.shift) == ([[100, 3], [-7, 1]], 0)
    assert (second.weight.tolist(), second.shift) == ([[-100, 1], [0, 0]], 0)


def test_a_recurrent_half_of_one_sign_has_fewer_bits_than_both_together():
    first, second = recurrent_weights(np.array([[-128, 3]]), np.array([[255]]), place="layer1")
    assert (first.weight.tolist(), second.weight.tolist()) == ([[-128, 3]], [[0]])


@pytest.mark.parametrize(("peak", "shift"), [(2**24 - 1, 0), (2**24, 7)])
def test_sums_of_32_bits_that_lose_more_than_six_keep_their_shift(peak, shift):
    found = dense_weights(np.array([[1, 0], [0, -1]]), place="layer1", peak=peak)
    assert found.shift == shift
    np.testing.assert_array_equal(found.weight, [[1 << shift, 0], [0, -1 << shift]])


@pytest.mark.parametrize(("peak", "shift"), [(2**24 - 1, 0), (2**24, 7)])
def test_with_delays_it_is_products_that_lose_bits(peak, shift):
    weight = np.array([[1, -1, 1, -1]])
    found = dense_weights(weight, place="layer1", peak=peak, is_delayed=True)
    assert (found.shift, found.weight.tolist()) == (shift, (weight << shift).tolist())


def test_six_bits_lost_on_top_do_not_matter():
    found = dense_weights(np.array([[2, -1]]), place="layer1", peak=2**30)
    assert (found.weight.tolist(), found.shift) == ([[2, -1]], 0)


def test_the_stated_weights_are_left_as_they_were():
    weight = np.array([[300, -300]])
    dense_weights(weight, place="layer1")
    assert weight.tolist() == [[300, -300]]


ORACLE = """
import sys
from importlib import import_module
import numpy as np
from spikeproof.sim.oracle.shim import import_netx

import_netx()
scale = import_module("lava.lib.dl.netx.utils").optimize_weight_bits
tools = import_module("lava.utils.weightutils")


def process(weight, bits):
    mode = tools.determine_sign_mode(weight)
    clipped = tools.clip_weights(weight, mode, num_bits=8)
    return tools.truncate_weights(clipped, mode, bits)


found = {}
with np.load(sys.argv[1]) as cases:
    for name, weight in cases.items():
        split = int(name.split("-")[1])
        scaled, bits, exponent, _ = scale(weight)
        parts = [scaled[:, :split], scaled[:, split:]] if split else [scaled]
        for part, half in enumerate(parts):
            found[f"{name}-{part}"] = process(half, bits)
        found[f"{name}-exponent"] = np.int64(exponent)
np.savez(sys.argv[2], **found)
"""


def matrices(rng, count):
    """Random matrices of every sign mode and size, named `index-columns of the first half`."""
    found = {}
    for index in range(count):
        high = int(rng.choice([1, 2, 7, 64, 127, 128, 129, 254, 255, 256, 257, 400, 3000]))
        low, top = [(-high, high), (0, high), (-high, -1), (-high, 0)][index % 4]
        weight = rng.integers(low, top + 1, (3, 4)) * int(rng.choice([1, 1, 2, 4, 16]))
        edges = rng.random((3, 4)) < 0.2
        weight = np.where(edges, rng.choice([low, top], (3, 4)), weight)
        if weight.any():
            found[f"{index}-{int(rng.choice([0, 0, 1]))}"] = weight
    return found


@pytest.mark.lava
def test_weights_equal_those_of_lavas_own_functions(tmp_path, rng):
    if not lava_status().available:
        pytest.skip(f"NOT TESTED: {lava_status().reason}")
    cases, spikes = matrices(rng, 2000), rng.integers(-3, 4, (50, 4))
    np.savez(tmp_path / "cases.npz", **cases)
    command = [sys.executable, "-c", ORACLE, tmp_path / "cases.npz", tmp_path / "found.npz"]
    subprocess.run(command, check=True, timeout=250, capture_output=True)
    with np.load(tmp_path / "found.npz") as found:
        for name, weight in cases.items():
            assert_equal_sums(name, weight, found, spikes)


def assert_equal_sums(name, weight, found, spikes):
    """Lava's sums of each part, shifted by its exponent, and ours."""
    split, exponent = int(name.split("-")[1]), int(found[f"{name}-exponent"])
    if split:
        ours = recurrent_weights(weight[:, :split], weight[:, split:], place=name)
        parts = [spikes[:, :split], spikes[:, split:]]
    else:
        ours, parts = (dense_weights(weight, place=name),), [spikes]
    for index, (half, x) in enumerate(zip(ours, parts, strict=True)):
        sums = x @ found[f"{name}-{index}"].T.astype(np.int64)
        lava = sums << exponent if exponent > 0 else sums >> -exponent
        np.testing.assert_array_equal(x @ half.weight.T >> half.shift, lava, err_msg=name)
