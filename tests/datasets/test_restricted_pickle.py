"""CIFAR's pickles are read, and no pickle runs anything."""

import contextlib
import pickle  # noqa: TID251 - writes what the restricted reader has to read or refuse
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeproof.core.errors import FormatError
from spikeproof.datasets import restricted_pickle
from spikeproof.datasets.restricted_pickle import read_batch

DATA = np.arange(6, dtype=np.uint8).reshape(2, 3)


class Array:
    """Pickles as a call of numpy's `_reconstruct` with a state that the test chooses."""

    def __init__(self, *state):
        self._state = state

    def __reduce__(self):
        reconstruct = np.zeros(0).__reduce__()[0]
        return reconstruct, (np.ndarray, (0,), b"b"), self._state


def test_read_batch_reads_what_python_2_wrote(python2_pickle):
    value = {b"batch_label": b"training", b"labels": [3, -1, 70000], b"data": DATA}
    batch = read_batch(python2_pickle(value), source="batch")
    assert batch["batch_label"] == b"training"
    assert batch["labels"] == [3, -1, 70000]
    np.testing.assert_array_equal(batch["data"], DATA, strict=True)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("order", ["C", "F"])
def test_read_batch_reads_what_python_3_wrote(protocol, order):
    value = {"labels": [1, 2], "data": np.asarray(DATA, order=order), b"names": ["a", "b"]}
    batch = read_batch(pickle.dumps(value, protocol), source="batch")
    np.testing.assert_array_equal(batch["data"], DATA, strict=True)
    assert (batch["labels"], batch["names"]) == ([1, 2], ["a", "b"])


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (b"cos\nsystem\n", "os.system"),
        (b"cposix\nsystem\n", "posix.system"),
        (b"cbuiltins\neval\n", "builtins.eval"),
        (b"c__builtin__\nexec\n", "__builtin__.exec"),
        (b"cnumpy\nload\n", "numpy.load"),
        (b"cnumpy.core.multiarray\nscalar\n", "numpy.core.multiarray.scalar"),
        (b"\x8c\x02os\x8c\x06system\x93", "os.system"),
        (b"c_codecs\ndecode\n", "_codecs.decode"),
        (b"cnumpy\nndarray.tofile\n", "numpy.ndarray.tofile"),
    ],
)
def test_read_batch_names_a_foreign_global_and_runs_nothing(tmp_path, call, name):
    witness = tmp_path / "ran"
    command = f"touch {witness}".encode()
    text = b"U" + bytes((len(command),)) + command
    data = b"\x80\x04}U\x04data" + call + text + b"\x85Rs."
    with pytest.raises(FormatError, match=f"got the global {name}; nothing was run"):
        read_batch(data, source="batch")
    assert not witness.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02(cos\nsystem\no.",
        b"(S'touch x'\nios\nsystem\n.",
        b"\x80\x02cos\nsystem\n)\x81.",
        b"\x80\x02\x82\x01.",
        b"\x80\x02U\x01xQ.",
        b"\x80\x04\x8f.",
        b"\x80\x02]2\x86.",
    ],
    ids=["OBJ", "INST", "NEWOBJ", "EXT1", "BINPERSID", "EMPTY_SET", "DUP"],
)
def test_read_batch_refuses_operations_that_batches_do_not_have(request, data):
    name = request.node.callspec.id
    with pytest.raises(FormatError, match=f"expected a dictionary of lists.* operation {name};"):
        read_batch(data, source="batch")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (DATA.astype(np.float32), "dtype 'f4' instead of uint8"),
        (np.array([{}], object), "dtype 'O8' instead of uint8"),
        (Array(1, (2, 2), np.dtype("u1"), False, b"abc"), r"shape \(2, 2\) with 3 bytes"),
        (Array(1, (-1, -3), np.dtype("u1"), False, b"abc"), r"shape \(-1, -3\) with 3 bytes"),
        (Array(1, (2**62, 4), np.dtype("u1"), False, b""), "with 0 bytes"),
        (Array(1, (3,), "u1", False, b"abc"), "state is not"),
        (Array(1, (1,), np.dtype("u1"), False, [0]), "state is not"),
    ],
)
def test_read_batch_refuses_arrays_that_are_not_uint8_or_lie(value, message):
    with pytest.raises(FormatError, match=message):
        read_batch(pickle.dumps({"data": value}, 3), source="batch")


@pytest.mark.parametrize("target", restricted_pickle.PERMITTED)
@pytest.mark.parametrize("slot", [b"}U\x07__new__K\x01s", b"N}U\x07__new__K\x01s\x86"])
def test_read_batch_lets_no_pickle_change_what_names_stand_for(target, slot):
    before = {name: dict(vars(kind)) for name, kind in restricted_pickle.PERMITTED.items()}
    head = f"c{target[0]}\n{target[1]}\n".encode()
    with pytest.raises(FormatError, match="expected a whole batch in batch"):
        read_batch(b"\x80\x02" + head + slot + b"b.", source="batch")
    assert {key: dict(vars(kind)) for key, kind in restricted_pickle.PERMITTED.items()} == before


def test_read_batch_refuses_an_array_that_begins_large():
    head = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
    data = head + b"J\xff\xff\xff\x7f\x85U\x01b\x87R."
    with pytest.raises(FormatError, match="an array that does not begin empty"):
        read_batch(data, source="batch")


def test_read_batch_refuses_a_call_of_the_array_class():
    with pytest.raises(FormatError, match="expected a whole batch in batch, got TypeError"):
        read_batch(b"\x80\x02cnumpy\nndarray\nK\x05\x85\x85R.", source="batch")


@pytest.mark.parametrize("index", [100, 2**31, 2**32 - 1])
def test_read_batch_refuses_a_memo_that_would_fill_memory(index):
    with pytest.raises(FormatError, match=f"remembered objects in batch, got number {index}"):
        read_batch(b"\x80\x02}r" + struct.pack("<I", index) + b".", source="batch")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x80\x02}(K\x01" + b"\x85" * 10**5 + b"K\x01u.", "expected at most 64 tuples"),
        (b"\x80\x02]" + b"cnumpy\ndtype\nR" * 100 + b".", "expected at most 64 calls"),
    ],
)
def test_read_batch_refuses_more_tuples_and_calls_than_arrays_need(data, message):
    with pytest.raises(FormatError, match=message):
        read_batch(data, source="batch")


def test_read_batch_refuses_a_large_file(monkeypatch, python2_pickle):
    monkeypatch.setattr(restricted_pickle, "MAX_PICKLE_BYTES", 100)
    with pytest.raises(FormatError, match="expected at most 100 bytes in batch, got"):
        read_batch(python2_pickle({b"data": np.zeros((9, 9), np.uint8)}), source="batch")


@pytest.mark.parametrize("value", [[1, 2], 5, b"text"])
def test_read_batch_refuses_what_is_no_dictionary(python2_pickle, value):
    with pytest.raises(FormatError, match="expected a dictionary in batch, got"):
        read_batch(python2_pickle(value), source="batch")


def test_read_batch_refuses_an_array_without_data():
    head = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    with pytest.raises(FormatError, match="an array without data"):
        read_batch(b"\x80\x02}U\x04data" + head + b"s.", source="batch")


@given(cut=st.integers(min_value=0, max_value=10**6))
def test_read_batch_refuses_every_truncation(python2_pickle, cut):
    data = python2_pickle({b"labels": [1, 2], b"data": DATA})
    with pytest.raises(FormatError, match="expected a whole batch in batch"):
        read_batch(data[: cut % len(data)], source="batch")


@given(noise=st.binary(max_size=200))
def test_read_batch_never_fails_in_another_way(noise):
    with contextlib.suppress(FormatError):
        assert isinstance(read_batch(noise, source="batch"), dict)
