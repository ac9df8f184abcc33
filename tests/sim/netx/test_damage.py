"""`.net` files that are damaged, foreign or impossible: each is refused in one line, none hangs."""

import os
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from spikeproof.core.errors import SpikeproofError
from spikeproof.sim.netx.network import read_netx
from spikeproof.tests.sim.netx_files import layers, neuron, ramp, write

pytestmark = [
    pytest.mark.timeout(60),
    # numpy's own word on casting what is then refused
    pytest.mark.filterwarnings("ignore:invalid value encountered in cast"),
]
NUMBERS = [
    (index, key)
    for index, layer in enumerate(layers())
    for key, value in layer.items()
    if not isinstance(value, str)
]
NEEDED = [
    *[key for key in NUMBERS if key[1] not in ("bias", "delay")],
    *[(i, "type") for i in range(5)],
    *[(i, "neuron/type") for i in (1, 3, 4)],
]


def changed(index, **fields):
    """Writes the valid network with fields of one layer changed, or left out where None."""
    named = {name.replace("__", "/"): value for name, value in fields.items()}

    def make(path):
        content = layers()
        content[index] |= named
        content[index] = {k: v for k, v in content[index].items() if v is not None}
        write(path, content)

    return make


def ordered(*content):
    """Writes these layers."""
    return lambda path: write(path, list(content))


def edited(edit):
    """Writes the valid network, then edits the open file."""

    def make(path):
        write(path, layers())
        with h5py.File(path, "a") as file:
            edit(file, path)

    return make


def raw(content):
    return lambda path: path.write_bytes(content)


def truncated(share):
    def make(path):
        whole = write(path, layers()).read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])

    return make


def polluted(index, key, value):
    """One element of a numeric field becomes NaN or infinite."""
    stated = np.array(layers()[index][key], dtype=np.float64)
    stated.reshape(-1)[-1] = value
    return changed(index, **{key: stated})


def linked(kind):
    """Replaces a dataset by a link that leads to equal data."""

    def edit(file, path):
        other = path.with_suffix(".other")
        write(other, layers())
        target = "layer/1/weight"
        file.move(target, "elsewhere")
        shape = file["elsewhere"].shape
        if kind == "virtual":
            layout = h5py.VirtualLayout(shape, "i8")
            layout[...] = h5py.VirtualSource(other, target, shape)
            file.create_virtual_dataset(target, layout)
        elif kind == "raw":
            values = other.with_suffix(".raw")
            values.write_bytes(bytes(8 * int(np.prod(shape))))
            file.create_dataset(target, shape, "i8", external=[(values, 0, h5py.h5f.UNLIMITED)])
        else:
            link = {"soft": h5py.SoftLink("/elsewhere"), "lost": h5py.SoftLink("/nowhere")}
            file[target] = link.get(kind, h5py.ExternalLink(other, target))

    return edited(edit)


def linked_pipe(file, path):
    """An external link to a pipe that nobody writes to: following it would wait for ever."""
    pipe = path.with_suffix(".pipe")
    os.mkfifo(pipe)
    del file["layer/1/bias"]
    file["layer/1/bias"] = h5py.ExternalLink(pipe, "bias")


def linked_layer(file, path):
    file.move("layer/2", "elsewhere")
    file["layer/2"] = h5py.SoftLink("/elsewhere")


def declared(shape, dtype, key="weight"):
    """A field that declares far more than the file holds."""

    def edit(file, path):
        if key in file["layer/3"]:
            del file[f"layer/3/{key}"]
        file.create_dataset(f"layer/3/{key}", shape, dtype, chunks=True)

    return edited(edit)


def replaced(name, value):
    def edit(file, path):
        del file[name]
        file[name] = value

    return edited(edit)


def as_group(name):
    def edit(file, path):
        del file[name]
        file.create_group(name)

    return edited(edit)


def renamed(old, new):
    return edited(lambda file, path: file.move(f"layer/{old}", f"layer/{new}"))


def as_pipe(path):
    os.mkfifo(path)


def as_folder(path):
    path.mkdir()


def as_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weight.npy", b"\x93NUMPY")


def nothing(path):
    del path


TALL = {
    "shape": np.array([2, 200, 4], "u1"),
    "padding": np.array([60, 0], "u1"),
    "dilation": np.array([90, 1], "i1"),
}
"""200 + 2·60 and 2·90: what 8 bits do not hold."""


def tall(*narrow):
    """A convolution of a tall map; fields named here are stored in 8 bits."""
    stated = {k: v if k in narrow else v.astype(np.int32) for k, v in TALL.items()}
    conv = layers()[1] | {"shape": [4, 140, 3], "stride": [1, 1], "dilation": stated["dilation"]}
    conv |= {"padding": stated["padding"]}
    return ordered({"type": "input", "shape": stated["shape"]}, conv)


def corpus():
    """Name and maker of every bad file."""
    conv, dense = layers()[1], layers()[3]
    block = {"type": "input", "shape": [2, 5, 4]} | neuron()
    bad = {f"{key} of layer {i} is missing": changed(i, **{key: None}) for i, key in NEEDED}
    for value in (np.nan, np.inf, -np.inf):
        bad |= {f"{key} of layer {i} is {value}": polluted(i, key, value) for i, key in NUMBERS}
    for kind in ("pool", "convT", "unpool", "average", "concat", "dense_comp", "", "Conv", "a\nb"):
        bad[f"layer of type {kind!r}"] = changed(1, type=kind)
    for kind in ("SDNN", "RF", "ALIF", "cuba", "", "a\nb"):
        bad[f"neurons of type {kind!r}"] = changed(1, neuron__type=kind)
    for shape in (
        [],
        [0],
        [-3],
        [3, 4],
        [1, 2, 3, 4],
        [4, 2, 4],
        [1 << 40],
        [2.5],
        [4, 1 << 30, 9],
    ):
        bad[f"shape {shape}"] = changed(1, shape=np.array(shape))
    for index in (0, 1):
        bad[f"shape of layer {index} a number alone"] = changed(index, shape=4)
    for key in ("shape", "stride", "padding", "dilation", "groups"):
        bad[f"{key} as floats"] = changed(1, **{key: np.array(conv[key], np.float32)})
    for key in ("stride", "padding", "dilation", "groups"):
        bad[f"{key} in a vector of one"] = changed(1, **{key: [1]})
    for key in ("stride", "dilation", "groups"):
        for value in (0, -1, [1, 2, 3], 1.5, 1 << 40):
            bad[f"{key} {value}"] = changed(1, **{key: value})
    for value in (-1, [1, 1, 1], 0.5, 1 << 20, 1 << 40):
        bad[f"padding {value}"] = changed(1, padding=value)
    for shape in (
        (4,),
        (4, 1),
        (4, 1, 3),
        (4, 1, 3, 2, 2),
        (4, 1, 3, 2, 1, 2),
        (4, 2, 3, 2),
        (3, 1, 3, 2),
        (4, 1, 9, 9),
    ):
        bad[f"convolution weight {shape}"] = changed(1, weight=ramp(*shape))
    for shape in ((5, 23), (4, 24), (119,), (5, 24, 1), (5, 0), ()):
        bad[f"dense weight {shape}"] = changed(3, weight=ramp(*shape))
    for shape in ((2, 3), (3, 5), (0,), (8,), (9,)):
        bad[f"recurrent weight {shape}"] = changed(4, weight_rec=ramp(*shape))
    for shape in ((3,), (4, 1), (4, 2, 3), (0,)):
        bad[f"convolution bias {shape}"] = changed(1, bias=ramp(*shape))
    for value in ([1, 2], -1, [[1]], [1] * 23):
        bad[f"delay {value}"] = changed(3, delay=value)
    for key in ("iDecay", "vDecay", "vThMant"):
        bad[f"{key} with a fraction"] = changed(1, **{f"neuron/{key}": 10.5})
        for shape in ((0,), (3,), (4, 1, 1), (4, 2, 3), (3, 2, 5), (1, 1, 1, 4)):
            bad[f"{key} of shape {shape}"] = changed(1, **{f"neuron/{key}": ramp(*shape)})
        bad[f"{key} of vectors in a matrix"] = changed(3, **{f"neuron/{key}": [[10]]})
        for kind in ("f2", "f4", "f8"):
            bad[f"{key} as {kind}"] = changed(1, **{f"neuron/{key}": np.array(10, kind)})
    for key in ("iDecay", "vDecay"):
        for kind in ("i1", "u1", "u8", ">u8"):
            bad[f"{key} as {kind}"] = changed(1, **{f"neuron/{key}": np.array(10, kind)})
        bad[f"{key} of 2^31"] = changed(1, **{f"neuron/{key}": 1 << 31})
    for value in (2.0**40, -(2.0**63), np.uint64(1 << 63), 1e300):
        bad[f"weight {value:g}"] = changed(1, weight=ramp(4, 1, 3, 2) * 0 + value)
    bad["weight is text"] = replaced("layer/1/weight", "seven")
    bad["weight is complex"] = replaced("layer/1/weight", np.ones((4, 1, 3, 2), complex))
    bad["weight is empty"] = replaced("layer/1/weight", h5py.Empty("f4"))
    bad["weight is a record"] = replaced("layer/1/weight", np.zeros(3, [("a", "i4"), ("b", "f4")]))
    bad["weight is a group"] = as_group("layer/1/weight")
    bad["type in a matrix"] = replaced("layer/1/type", np.array([[b"conv"]]))
    bad["type is a number"] = replaced("layer/1/type", 7)
    bad["type is a group"] = as_group("layer/1/type")
    bad["type is an empty array"] = replaced("layer/1/type", np.zeros(0, "S4"))
    bad["neuron is a dataset"] = replaced("layer/1/neuron", 7)
    bad["a layer is a dataset"] = replaced("layer/2", 7)
    bad["layer is a dataset"] = replaced("layer", 7)
    for narrow in (("shape", "padding"), ("dilation",)):
        bad[f"{' and '.join(narrow)} in 8 bits"] = tall(*narrow)
    for key in ("weight", "bias"):
        for value in (np.nan, [1, 2], [], "seven"):
            bad[f"{key} {value} of an input block"] = ordered(block | {key: value}, conv)
    bad["all weights are zero"] = changed(3, weight=ramp(5, 24) * 0)
    bad["recurrence with delays"] = changed(4, delay=1)
    bad["a layer whose name is no text"] = edited(
        lambda file, path: file["layer"].id.link(b"3", b"\xff", 0)
    )
    bad["a gap in the numbers"] = renamed(3, 7)
    bad["numbers from one"] = renamed(0, 5)
    bad["a layer without number"] = renamed(4, "last\nlayer")
    bad["padded numbers"] = renamed(4, "04")
    bad["no layers"] = ordered()
    bad["only an input"] = ordered(layers()[0])
    bad["only a flatten"] = ordered({"type": "flatten"})
    bad["a second input"] = ordered(layers()[0], layers()[0], conv)
    bad["an input in the middle"] = ordered(layers()[0], conv, layers()[0], {"type": "flatten"})
    bad["an input block in the middle"] = ordered(layers()[0], conv, block)
    bad["a convolution without input shape"] = ordered(conv)
    bad["a convolution without an input's shape"] = ordered({"type": "input"}, conv)
    bad["a convolution behind a flat input"] = ordered({"type": "input", "shape": [5, 4]}, conv)
    bad["a convolution after dense"] = ordered(*layers()[:4], conv)
    bad["a dense layer on a map"] = ordered(*layers()[:2], dense)
    bad["a dense layer on a block's map"] = ordered(block, dense | {"weight": ramp(5, 40)})
    bad["a flatten of a vector"] = ordered(*layers()[:4], {"type": "flatten"}, layers()[4])
    for kind in ("soft", "lost", "external", "virtual", "raw"):
        bad[f"a {kind} link"] = linked(kind)
    bad["a link to a pipe"] = edited(linked_pipe)
    bad["a linked layer"] = edited(linked_layer)
    for shape in ((1, 1 << 29), (5, 1 << 27), (5, 25), (1 << 27,), (1 << 29, 1)):
        bad[f"weights {shape} declared"] = declared(shape, "i1")
    for key in ("type", "shape", "bias", "delay", "neuron/type", "neuron/vThMant", "neuron/iDecay"):
        bad[f"2^29 values of {key} declared"] = declared((1 << 29,), "i1", key)
    bad["a type of 2^30 letters declared"] = declared((1,), "S1073741824", "type")
    bad["2^40 weights declared"] = declared((1 << 20, 1 << 20), "i1")
    bad["2^62 weights declared"] = declared((1 << 31, 1 << 31), "f8")
    bad["large items declared"] = declared((5, 24), "S100000000")
    for share in np.linspace(0.01, 0.99, 23):
        bad[f"cut at {share:.0%}"] = truncated(share)
    bad["no file"], bad["a folder"], bad["a pipe"], bad["a zip"] = (
        nothing,
        as_folder,
        as_pipe,
        as_zip,
    )
    bad["an empty file"] = raw(b"")
    bad["a text"] = raw(b"layer: 0\n" * 100)
    bad["a signature alone"] = raw(b"\x89HDF\r\n\x1a\n")
    bad["noise behind the signature"] = raw(
        b"\x89HDF\r\n\x1a\n" + np.random.default_rng(0).bytes(9999)
    )
    bad["another HDF5 file"] = edited(lambda file, path: file.move("layer", "node"))
    return bad


CORPUS = corpus()


def test_the_corpus_is_large():
    assert len(CORPUS) >= 60


@pytest.mark.parametrize("name", CORPUS)
def test_bad_files_are_refused_in_one_line(tmp_path, name):
    path = tmp_path / "network.net"
    CORPUS[name](path)
    with pytest.raises(SpikeproofError, match=r"^expected .+, got .*; .+") as refused:
        read_netx(path)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("make", [changed(0), tall(), tall("shape"), tall("padding")])
def test_good_files_are_not_refused(tmp_path, make):
    make(tmp_path / "network.net")
    read_netx(tmp_path / "network.net")


def flipped(whole: bytes, seed: int) -> bytes:
    """A few bytes anywhere become others."""
    rng = np.random.default_rng(seed)
    found = bytearray(whole)
    for place in rng.integers(0, len(whole), rng.integers(1, 9)):
        found[place] = rng.integers(0, 256)
    return bytes(found)


def refusal(path: Path) -> str:
    """What is said of a file; empty where it is read."""
    try:
        read_netx(path)
    except SpikeproofError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bytes_are_read_or_refused(tmp_path: Path, seed: int):
    path = tmp_path / "network.net"
    whole = write(path, layers()).read_bytes()
    said = []
    for trial in range(50):
        path.write_bytes(flipped(whole, 50 * seed + trial))
        said.append(refusal(path))
    assert any(said)
    assert not any("\n" in text for text in said)
